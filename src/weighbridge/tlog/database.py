"""Where the sequencer keeps its rows: SQLite in a file, or Postgres; one transaction at a time, durable when it ends.

SQLite through the standard library (WAL, synchronous=FULL); Postgres through SQLAlchemy Core and psycopg, the extra
`postgres`. Both speak the same SQL with `?`; what differs stands in this file and nowhere else.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from weighbridge.core.errors import BrokenError, UsageError
from weighbridge.core.text import visible

PATIENCE = 30.0
"""Seconds to wait for another writer."""
Row = tuple[Any, ...]
_CODE = "log-database"


class Transaction(ABC):
    """What can be done between begin and commit."""

    @abstractmethod
    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a SELECT."""

    @abstractmethod
    def run(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """A statement once for each row of values."""


class Database(ABC):
    """Rows that outlive a power cut. Values go in and come out as int, str, bytes and None."""

    blob: str
    """The column type of bytes."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Transaction]:
        """A context: the one writing transaction there is; another waits. Committed, and on the disk, when it ends well."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Transaction]:
        """A context: a transaction that sees one moment, and changes nothing."""

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""


def open_database(place: str | Path) -> Database:
    """`postgresql://…`, or the path of an SQLite file, which is made.

    Raises `UsageError` (`extra-missing`, `log-database`), `BrokenError` (`log-database`).
    """
    text = str(place)
    if text.startswith(("postgresql://", "postgres://")):
        return _Postgres(text)
    return _Sqlite(Path(text.removeprefix("sqlite://") if text.startswith("sqlite://") else text))


class _Sqlite(Database):
    blob = "BLOB"

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Transactions are ours to begin; the connection may be used by the thread that serves.
            self._connection = sqlite3.connect(
                path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            mode = self._connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA cache_size=-65536")
            self._connection.execute("PRAGMA wal_autocheckpoint=16000")
        except sqlite3.Error as error:
            raise self._broken(error) from None
        if mode != "wal":
            raise UsageError(_CODE, f'"{visible(str(path))}" is on a file system without write-ahead logs')

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        with self._within("BEGIN IMMEDIATE") as transaction:
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._within("BEGIN") as transaction:
            yield transaction

    @contextmanager
    def _within(self, begin: str) -> Iterator[Transaction]:
        try:
            self._connection.execute(begin)
            yield _SqliteTransaction(self._connection)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise self._broken(error) from None
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _broken(self, error: sqlite3.Error) -> BrokenError:
        return BrokenError(_CODE, f'the log "{visible(str(self._path))}": {visible(str(error), 200)}')

    def close(self) -> None:
        self._connection.close()


class _SqliteTransaction(Transaction):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def run(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self._connection.executemany(sql, rows)


class _Postgres(Database):
    blob = "BYTEA"

    def __init__(self, url: str) -> None:
        try:
            import psycopg  # noqa: F401 - SQLAlchemy takes it by name
            import sqlalchemy
        except ImportError:
            raise UsageError(
                "extra-missing",
                "a log in Postgres needs SQLAlchemy and psycopg",
                'pip install "weighbridge[postgres]"',
            ) from None
        self._errors = sqlalchemy.exc.SQLAlchemyError
        self._engine = sqlalchemy.create_engine(
            f"postgresql+psycopg://{url.partition('://')[2]}", pool_pre_ping=True
        )
        with self.reading() as transaction:
            ((fsync,),) = transaction.rows("SHOW fsync")
        if fsync != "on":
            raise UsageError(_CODE, "this Postgres runs with fsync off and would lose what it acknowledged")

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        with self._within() as transaction:
            # One writer at a time, as SQLite has it; readers are not kept waiting.
            transaction.rows("SELECT pg_advisory_xact_lock(7954, 1)")
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._within("REPEATABLE READ") as transaction:
            yield transaction

    @contextmanager
    def _within(self, isolation: str = "READ COMMITTED") -> Iterator[Transaction]:
        try:
            with (
                self._engine.connect().execution_options(isolation_level=isolation) as connection,
                connection.begin(),
            ):
                connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
                yield _PostgresTransaction(connection)
        except self._errors as error:
            first = str(error).splitlines()[0]
            raise BrokenError(_CODE, f"the log's Postgres: {visible(first, 200)}") from None

    def close(self) -> None:
        self._engine.dispose()


class _PostgresTransaction(Transaction):
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        found = self._connection.exec_driver_sql(sql.replace("?", "%s"), tuple(values))
        return [tuple(row) for row in found]

    def run(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._connection.exec_driver_sql(sql.replace("?", "%s"), [tuple(row) for row in rows])
