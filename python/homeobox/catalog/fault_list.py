"""How a check tells of faults: all of them, and never by an exception."""

from collections.abc import Callable, Iterable


def faults_of_check(where: str, check: Callable[[], Iterable[str]]) -> list[str]:
    """The messages of one check, headed by what was checked; what it raises becomes a message too."""
    faults: list[str] = []
    try:
        faults.extend(check())
    except Exception as error:  # whatever breaks here is a fault of the atlas to tell of, never a stop
        faults.append(f"could not be checked, {type(error).__name__}: {error}")
    return [f"{where}: {fault}" for fault in faults]
