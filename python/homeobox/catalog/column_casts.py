"""Which values may become which without a change of meaning."""

import pyarrow as pa
import pyarrow.types as pat


def keeps_meaning(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether a value of one type means the same as the other; that it also keeps its value is the cast's business.

    A number is never text, text never a number; but days and moments may be text in ISO 8601.
    """
    if source == target or pat.is_null(source):
        return True
    if _is_text(target):
        return _is_text(source)
    if _is_number(target):
        return _is_number(source)
    if pat.is_temporal(target):
        if _is_text(source):
            return pat.is_date(target) or pat.is_timestamp(target)  # the cast refuses what is not ISO 8601
        # A zone makes a moment of a reading of the clock; without one on both sides the hour would shift.
        return pat.is_temporal(source) and _has_zone(source) == _has_zone(target)
    if _is_bytes(target):
        return _is_bytes(source)
    if _is_list(target):
        return _is_list(source) and keeps_meaning(source.value_type, target.value_type)
    if pat.is_struct(target) and pat.is_struct(source):
        children = {child.name: child.type for child in source}
        return set(children) == {child.name for child in target} and all(
            keeps_meaning(children[child.name], child.type) for child in target
        )
    return False


def _is_text(kind: pa.DataType) -> bool:
    return pat.is_string(kind) or pat.is_large_string(kind) or pat.is_string_view(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pat.is_integer(kind) or pat.is_floating(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pat.is_binary(kind) or pat.is_large_binary(kind) or pat.is_binary_view(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pat.is_list(kind) or pat.is_large_list(kind) or pat.is_fixed_size_list(kind)


def _has_zone(kind: pa.DataType) -> bool:
    return pat.is_timestamp(kind) and kind.tz is not None
