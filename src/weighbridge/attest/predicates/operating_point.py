"""Operating point: how a model may be used: the thresholds, what it reaches with them, and under which conditions.

    {"task": "triage of chest X-rays", "thresholds": [{"name": "pneumonia", "comparator": ">=", "value": "0.42"}],
     "metrics": [{"name": "sensitivity", "value": "0.93", "lower": "0.90", "upper": "0.95"}], "data": [named…],
     "conditions": ["adults", "posterior-anterior view"], "excluded": ["bedside films"], "timeStated": …, "validUntil": …}

Whoever signs answers for the numbers; nothing here measures a model. Numbers are decimal texts.
"""

from collections.abc import Mapping
from typing import Any

from weighbridge.attest import fields
from weighbridge.core.errors import InputError
from weighbridge.core.statement import Named, write_named
from weighbridge.core.text import counted
from weighbridge.core.value import dataclass

TYPE = "weighbridge.operating-point/v1"
COMPARATORS = (">=", ">", "<=", "<")
_KNOWN = (
    "task", "thresholds", "metrics", "data", "conditions", "excluded", "timeStated", "validUntil",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Where a score becomes a decision."""

    name: str
    comparator: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What the model reaches there, with the interval where one is known."""

    name: str
    value: str
    lower: str = ""
    upper: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """One way in which the model may be used."""

    task: str
    time: str
    thresholds: tuple[Threshold, ...] = ()
    metrics: tuple[Metric, ...] = ()
    data: tuple[Named, ...] = ()
    """What the metrics were measured on."""
    conditions: tuple[str, ...] = ()
    """All of them must hold where the model is used."""
    excluded: tuple[str, ...] = ()
    """What it must not be used for."""
    valid_until: str = ""


def read(predicate: Mapping[str, Any], what: str) -> OperatingPoint:
    """Strict. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    fields.refuse_unknown(predicate, _KNOWN, what)
    point = OperatingPoint(
        task=fields.filled(predicate, "task", what),
        thresholds=tuple(_threshold(row, what) for row in fields.rows(predicate, "thresholds", what)),
        metrics=tuple(_metric(row, what) for row in fields.rows(predicate, "metrics", what)),
        data=fields.all_named(predicate, "data", what),
        conditions=fields.texts(predicate, "conditions", what),
        excluded=fields.texts(predicate, "excluded", what),
        time=fields.time(predicate, "timeStated", what),
        valid_until=fields.time(predicate, "validUntil", what, required=False),
    )
    if not (point.thresholds or point.metrics or point.conditions or point.excluded):
        raise InputError(fields.BAD, f"{what} names no threshold, no metric and no condition")
    return point


def _threshold(row: Mapping[str, Any], what: str) -> Threshold:
    fields.refuse_unknown(row, ("name", "comparator", "value"), f"a threshold of {what}")
    return Threshold(
        name=fields.filled(row, "name", what),
        comparator=fields.word(row, "comparator", COMPARATORS, what),
        value=fields.decimal(row, "value", what),
    )


def _metric(row: Mapping[str, Any], what: str) -> Metric:
    fields.refuse_unknown(row, ("name", "value", "lower", "upper"), f"a metric of {what}")
    return Metric(
        name=fields.filled(row, "name", what),
        value=fields.decimal(row, "value", what),
        lower=fields.decimal(row, "lower", what, required=False),
        upper=fields.decimal(row, "upper", what, required=False),
    )


def write(point: OperatingPoint) -> dict[str, Any]:
    """`read(write(p)) == p`."""
    return {
        "task": point.task,
        "timeStated": point.time,
        **fields.given(
            thresholds=[
                {"name": one.name, "comparator": one.comparator, "value": one.value}
                for one in point.thresholds
            ],
            metrics=[
                {"name": one.name, "value": one.value, **fields.given(lower=one.lower, upper=one.upper)}
                for one in point.metrics
            ],
            data=[write_named(one) for one in point.data],
            conditions=list(point.conditions),
            excluded=list(point.excluded),
            validUntil=point.valid_until,
        ),
    }


def say(point: OperatingPoint) -> str:
    """In a few words."""
    numbers = ", ".join(f"{one.name} {one.value}" for one in point.metrics[:3])
    conditions = counted(len(point.conditions), "condition")
    return "; ".join(part for part in (point.task, numbers, conditions) if part)
