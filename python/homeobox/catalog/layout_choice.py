"""Which layout the features of a dataset get: one that is stored, if it fits, else a new one.

Of the two uids of a list, the plain one serves as long as one registry has these features. When another registry gets
them too, datasets that come later still share the layout of those of their feature space that came before.
"""

from collections.abc import Collection, Sequence

import pyarrow as pa

from homeobox.catalog.datasets import DatasetTable
from homeobox.catalog.layouts import LayoutTable, contradicts, layout_rows, layout_uid_in_space
from homeobox.catalog.registry import Registry
from homeobox.schema import compute_layout_uid


def choose_layout(
    feature_uids: Sequence[str] | pa.Array,
    registry: Registry,
    others: Collection[Registry],
    layouts: LayoutTable,
    datasets: DatasetTable,
) -> tuple[str, pa.Table]:
    """The uid and the rows of the layout of a new dataset; nothing is stored.

    Parameters
    ----------
    feature_uids : sequence of str, shape (n,)
        In the dataset's order.
    registry : Registry
        Of its feature space.
    others : collection of Registry
        All others that the atlas has.
    layouts, datasets
        What is stored.

    Raises
    ------
    InvalidArgumentError
        Null or duplicate uids; counts them.
    UnknownFeatureError
        Uids that are not registered; names the first five.
    ConflictError
        The layout is stored with other indices.
    """
    new_uid, rows = layout_rows(feature_uids, registry, others)
    candidates = [new_uid]
    if others:  # without another registry nobody made another one
        names = rows["feature_uid"].to_pylist()
        candidates = [compute_layout_uid(names), layout_uid_in_space(names, registry.feature_space)]
    stored = {uid: layouts.rows(uid) for uid in candidates}
    fitting = [uid for uid, there in stored.items() if there.num_rows and not contradicts(there, rows)]
    named = datasets.layouts_named(registry.feature_space, fitting)
    # A layout of another space whose indices are all known, and ours, never changes and serves here as well.
    equal = [uid for uid in fitting if rows["global_index"].null_count == 0 == stored[uid]["global_index"].null_count]
    layout_uid = next(iter([*named, *equal]), new_uid)
    rows = rows.set_column(0, rows.field(0), pa.repeat(pa.scalar(layout_uid), rows.num_rows))
    layouts.refuse_contradiction(stored[layout_uid], rows)
    return layout_uid, rows
