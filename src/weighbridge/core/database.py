"""Where rows are kept: SQLite in a file, or Postgres; one transaction at a time, durable when it ends.

SQLite through the standard library (WAL, synchronous=FULL); Postgres through SQLAlchemy Core and psycopg, the extra
`postgres`. Both speak the same SQL with `?`; what differs stands in this file and nowhere else.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import BrokenError, UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass

if TYPE_CHECKING:
    import sqlite3

PATIENCE = 30.0
"""Seconds to wait for another writer."""
Row = tuple[Any, ...]
_FETCHED = 20_000
"""Rows of a long answer that are held at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """Whose rows these are: the words of its errors, and its own turn among the writers of one server."""

    name: str
    """`the log`, as messages say it."""
    code: str
    """The code of its errors."""
    turn: int
    """The number of its lock in Postgres."""
    mkdir: bool = False
    """Whether the folder of an SQLite file may be made."""


class Transaction(ABC):
    """What can be done between begin and commit."""

    @abstractmethod
    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a SELECT."""

    @abstractmethod
    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """The rows of a SELECT that may be too long to be held; take them before anything else is asked."""

    @abstractmethod
    def run(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """A statement once for each row of values; how many rows of the table that changed."""


class Database(ABC):
    """Rows that outlive a power cut. Values go in and come out as int, str, bytes and None."""

    blob: str
    """The column type of bytes."""
    key: str
    """The column type of a whole number that is a table's key."""
    sorted: str
    """What makes a table be kept in the order of its key."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Transaction]:
        """A context: the one writing transaction there is; another waits. Committed, and on the disk, when it ends well."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Transaction]:
        """A context: a transaction that sees one moment, and changes nothing."""

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""


def open_database(place: str | Path, purpose: Purpose) -> Database:
    """`postgresql://…`, or the path of an SQLite file, which is made.

    Raises `UsageError` (`extra-missing`, the purpose's code), `BrokenError` (the purpose's code).
    """
    text = str(place)
    return _Postgres(text, purpose) if is_server(text) else _Sqlite(file_of(text), purpose)


def is_server(place: str | Path) -> bool:
    """Whether this is the address of a server and no file."""
    return str(place).startswith(("postgresql://", "postgres://"))


def file_of(place: str | Path) -> Path:
    """The file of an SQLite database that is named by its path or as `sqlite://PATH`."""
    return Path(str(place).removeprefix("sqlite://"))


class _Sqlite(Database):
    blob, key, sorted = "BLOB", "INTEGER", "WITHOUT ROWID"

    def __init__(self, path: Path, purpose: Purpose) -> None:
        import sqlite3

        self._path, self._purpose, self._errors = path, purpose, sqlite3.Error
        try:
            if purpose.mkdir:
                path.parent.mkdir(parents=True, exist_ok=True)
            # Transactions are ours to begin; the connection may be used by the thread that serves.
            self._connection = sqlite3.connect(
                path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            mode = self._connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA cache_size=-65536")
            self._connection.execute("PRAGMA wal_autocheckpoint=16000")
        except (sqlite3.Error, OSError) as error:
            raise self._broken(error) from None
        if mode != "wal":
            raise UsageError(
                purpose.code, f'"{visible(str(path))}" is on a file system without write-ahead logs'
            )

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
        except self._errors as error:
            self._undo()
            raise self._broken(error) from None
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        with suppress(self._errors):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _broken(self, error: Exception) -> BrokenError:
        where = f'{self._purpose.name} "{visible(str(self._path))}"'
        return BrokenError(self._purpose.code, f"{where}: {visible(str(error), 200)}")

    def close(self) -> None:
        self._connection.close()


class _SqliteTransaction(Transaction):
    def __init__(self, connection: "sqlite3.Connection") -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        return iter(self._connection.execute(sql, values))

    def run(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        return max(0, self._connection.executemany(sql, rows).rowcount)


class _Postgres(Database):
    blob, key, sorted = "BYTEA", "BIGINT", ""

    def __init__(self, url: str, purpose: Purpose) -> None:
        self._purpose = purpose
        try:
            import psycopg  # noqa: F401 - SQLAlchemy takes it by name
            import sqlalchemy
        except ImportError:
            raise UsageError(
                "extra-missing",
                f"{purpose.name} in Postgres needs SQLAlchemy and psycopg",
                'pip install "weighbridge[postgres]"',
            ) from None
        self._errors = sqlalchemy.exc.SQLAlchemyError
        self._engine = sqlalchemy.create_engine(
            f"postgresql+psycopg://{url.partition('://')[2]}", pool_pre_ping=True
        )
        with self.reading() as transaction:
            ((fsync,),) = transaction.rows("SHOW fsync")
        if fsync != "on":
            raise UsageError(
                purpose.code, "this Postgres runs with fsync off and would lose what it acknowledged"
            )

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        with self._within() as transaction:
            # One writer at a time, as SQLite has it; readers are not kept waiting.
            transaction.rows("SELECT pg_advisory_xact_lock(7954, ?)", (self._purpose.turn,))
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
            raise BrokenError(
                self._purpose.code, f"{self._purpose.name} in Postgres: {visible(first, 200)}"
            ) from None

    def close(self) -> None:
        self._engine.dispose()


class _PostgresTransaction(Transaction):
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        found = self._connection.exec_driver_sql(sql.replace("?", "%s"), tuple(values))
        return [tuple(row) for row in found]

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        found = self._connection.exec_driver_sql(
            sql.replace("?", "%s"),
            tuple(values),
            execution_options={"stream_results": True, "yield_per": _FETCHED},
        )
        return (tuple(row) for row in found)

    def run(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        if not rows:
            return 0
        done = self._connection.exec_driver_sql(sql.replace("?", "%s"), [tuple(row) for row in rows])
        return max(0, int(done.rowcount))
