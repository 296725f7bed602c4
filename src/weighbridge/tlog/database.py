"""Where the sequencer keeps its rows: a database of `core.database` that speaks of the log."""

from pathlib import Path

from weighbridge.core.database import Database, Purpose, Row, Transaction
from weighbridge.core.database import open_database as _open

__all__ = ["Database", "Row", "Transaction", "open_database"]

_LOG = Purpose(name="the log", code="log-database", turn=1)


def open_database(place: str | Path) -> Database:
    """`postgresql://…`, or the path of an SQLite file, which is made.

    Raises `UsageError` (`extra-missing`, `log-database`), `BrokenError` (`log-database`).
    """
    return _open(place, _LOG)
