"""Data set: what a folder of data is, where it came from, and what it may be used for.

    {"title": "Chest X-rays 2025", "licence": "CC-BY-4.0", "step": "collect", "sources": [material…], "records": 112120,
     "collected": "2025-01-01/2025-06-30", "consent": "…", "terms": "…", "splits": [{"name": "train", "records": 100000}]}

The statement's subject is the data's folder by its file-set digest.
"""

from collections.abc import Mapping
from typing import Any

from weighbridge.attest import fields
from weighbridge.attest.step import Material, Step
from weighbridge.core.statement import Statement
from weighbridge.core.value import dataclass

TYPE = "weighbridge.dataset/v1"
_KNOWN = ("title", "licence", "step", "sources", "records", "collected", "consent", "terms", "splits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One data set."""

    title: str
    licence: str
    """An SPDX expression, or `LicenseRef-…`; "" where nobody says."""
    step: str = "collect"
    """How it was made, as a step of a layout: `collect`, `clean`, `split`, …"""
    sources: tuple[Material, ...] = ()
    """What it was made from, each by digest."""
    records: int | None = None
    collected: str = ""
    """The time in which it was collected, such as `2025-01-01/2025-06-30`."""
    consent: str = ""
    """On what ground data about people is in it."""
    terms: str = ""
    """What it may be used for, in words."""
    splits: tuple[tuple[str, int], ...] = ()
    """(name, records)."""


def read(predicate: Mapping[str, Any], what: str) -> Dataset:
    """Strict. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    fields.refuse_unknown(predicate, _KNOWN, what)
    return Dataset(
        title=fields.filled(predicate, "title", what),
        licence=fields.field(predicate, "licence", str, what),
        step=fields.word(predicate, "step", None, what) if "step" in predicate else "collect",
        sources=fields.materials(predicate, "sources", what),
        records=fields.number_or_none(predicate, "records", what),
        collected=fields.optional(predicate, "collected", "", what),
        consent=fields.optional(predicate, "consent", "", what),
        terms=fields.optional(predicate, "terms", "", what),
        splits=tuple(_split(row, what) for row in fields.rows(predicate, "splits", what)),
    )


def _split(row: Mapping[str, Any], what: str) -> tuple[str, int]:
    fields.refuse_unknown(row, ("name", "records"), f"a split of {what}")
    return fields.filled(row, "name", what), fields.number(row, "records", what)


def write(data: Dataset) -> dict[str, Any]:
    """`read(write(d)) == d`."""
    return {
        "title": data.title,
        "licence": data.licence,
        "step": data.step,
        **fields.given(
            sources=fields.write_materials(data.sources),
            records=data.records,
            collected=data.collected,
            consent=data.consent,
            terms=data.terms,
            splits=[{"name": name, "records": records} for name, records in data.splits],
        ),
    }


def step(statement: Statement, data: Dataset) -> Step:
    """How the data was made: `collect` where it does not say."""
    return Step(name=data.step, products=statement.subjects, materials=data.sources)


def say(data: Dataset) -> str:
    """In a few words."""
    records = f", {data.records} records" if data.records is not None else ""
    return f"{data.title}, licence {data.licence or 'not said'}{records}"
