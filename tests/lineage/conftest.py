"""One lineage, on SQLite and on Postgres."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import postgres
from weighbridge.core.database import open_database
from weighbridge.lineage import Lineage, index
from weighbridge.lineage.graph import PURPOSE

TABLES = ("lineage", "lineage_node", "lineage_alias", "lineage_join", "lineage_source", "lineage_edge",
          "lineage_self", "lineage_model", "lineage_tensor")  # fmt: skip


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "lineage.db")
        return
    url = request.getfixturevalue("server")
    yield url
    database = open_database(url, PURPOSE)
    with database.writing() as transaction:
        for table in TABLES:
            transaction.run(f"DROP TABLE IF EXISTS {table}", [()])
    database.close()


@pytest.fixture
def lineage(place: str, tmp_path: Path) -> Iterator[Lineage]:
    with Lineage(place, tmp_path / "graph.index") as one:
        yield one


@pytest.fixture(params=["numpy", "alone"])
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With numpy where it is installed, and without."""
    monkeypatch.setattr(index, "_NUMPY", [None] if request.param == "alone" else [])
    monkeypatch.setattr(index, "WIDE", 2)
