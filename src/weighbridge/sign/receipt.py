"""A receipt of `convert`, read strictly: from an in-toto statement, signed or not (docs/formats/convert.md).

Whether the receipt is true is not asked here: `convert --against` derives the equality again from both sides, and a
signature says who vouches for it.
"""

from collections.abc import Mapping
from typing import Any

from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.manifest import Digest
from weighbridge.core.receipt import (
    CONVERT_PREDICATE,
    Dropped,
    Equality,
    Kind,
    Output,
    Receipt,
    Renamed,
    Seen,
    Side,
)
from weighbridge.core.report import FILES_ALGORITHM
from weighbridge.core.wire import read_json
from weighbridge.sign.fields import need, take

_BAD = "bad-receipt"
MAX_STATEMENT = 64 * 1024**2


def is_receipt(payload: bytes) -> bool:
    """Whether a statement is a receipt. Cheap, and never raises."""
    if CONVERT_PREDICATE.encode() not in payload:
        return False
    try:
        document = read_json(payload, "the statement", limit=MAX_STATEMENT)
    except (InputError, LimitError):
        return False
    return isinstance(document, dict) and document.get("predicateType") == CONVERT_PREDICATE


def read_receipt(payload: bytes) -> Receipt:
    """The receipt in a statement. Raises `InputError` (`bad-receipt`, `bad-digest`, `bad-json`, …), `LimitError`."""
    document = need(read_json(payload, "the receipt", limit=MAX_STATEMENT), dict, _BAD, "the receipt")
    if take(document, "predicateType", str, _BAD, "the receipt") != CONVERT_PREDICATE:
        raise InputError(_BAD, "the statement is no receipt of a conversion")
    receipt = read_predicate(take(document, "predicate", dict, _BAD, "the receipt"))
    _refuse_other_subject(take(document, "subject", list, _BAD, "the receipt"), receipt)
    return receipt


def read_predicate(said: Mapping[str, Any]) -> Receipt:
    """The receipt in a statement's predicate. Raises `InputError` (`bad-receipt`, `bad-digest`)."""
    return Receipt(
        target=_text(said, "target"),
        source=_side(said, "source"),
        output=_side(said, "output"),
        outputs=tuple(_output(row) for row in _rows(said, "outputs")),
        converted=tuple((_text(row, "from"), _text(row, "to")) for row in _rows(said, "converted")),
        equality=_equality(take(said, "equality", dict, _BAD, "the receipt")),
        renamed=tuple(_renamed(row) for row in _rows(said, "renamed")),
        dropped=tuple(_dropped(row) for row in _rows(said, "dropped")),
        tied=tuple(_names(group, "tied") for group in take(said, "tied", list, _BAD, "the receipt")),
        findings=tuple(Seen(*(_text(row, key) for key in Seen._fields)) for row in _rows(said, "findings")),
        findings_more=_count(said, "findingsMore"),
        dangerous=take(said, "dangerous", bool, _BAD, "the receipt"),
        version=_text(take(said, "tool", dict, _BAD, "the receipt"), "version"),
        time=_text(said, "timeConverted"),
    )


def _refuse_other_subject(subjects: list[Any], receipt: Receipt) -> None:
    """The statement's subject must be what the predicate says was written."""
    algorithm, _, value = receipt.output.files_digest.partition(":")
    subject = need(subjects[0], dict, _BAD, "the subject") if len(subjects) == 1 else {}
    if subject.get("digest") != {f"{FILES_ALGORITHM}{algorithm}": value}:
        raise InputError(_BAD, "the subject of the receipt is not what it says was written")


def _rows(said: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [need(row, dict, _BAD, f'a row of "{key}"') for row in take(said, key, list, _BAD, "the receipt")]


def _text(row: Mapping[str, Any], key: str) -> str:
    return take(row, key, str, _BAD, "the receipt")


def _count(row: Mapping[str, Any], key: str) -> int:
    value = take(row, key, int, _BAD, "the receipt")
    if value < 0:
        raise InputError(_BAD, f'"{key}" of the receipt is below zero')
    return value


def _names(value: Any, key: str) -> tuple[str, ...]:
    return tuple(need(name, str, _BAD, f'a name in "{key}"') for name in need(value, list, _BAD, f'"{key}"'))


def _side(said: Mapping[str, Any], key: str) -> Side:
    row = take(said, key, dict, _BAD, "the receipt")
    digests = take(row, "digests", dict, _BAD, f'"{key}"')
    tensors = digests.get("tensors")
    return Side(
        name=_text(row, "name"),
        files=_count(row, "files"),
        bytes=_count(row, "bytes"),
        files_digest=str(Digest.parse(_text(digests, "files"))),
        tensors_digest=str(Digest.parse(need(tensors, str, _BAD, '"tensors"')))
        if tensors is not None
        else None,
    )


def _output(row: dict[str, Any]) -> Output:
    origin = row.get("copyOf")
    return Output(
        _text(row, "path"),
        _count(row, "size"),
        _text(row, "sha256"),
        need(origin, str, _BAD, '"copyOf"') if origin is not None else "",
    )


def _equality(row: dict[str, Any]) -> Equality:
    return Equality(
        compared=_count(row, "compared"),
        equal=_count(row, "equal"),
        different=_names(row.get("different"), "different"),
        missing=_names(row.get("missing"), "missing"),
        extra=_names(row.get("extra"), "extra"),
    )


def _renamed(row: dict[str, Any]) -> Renamed:
    prefix = take(row, "prefix", bool, _BAD, "the receipt")
    return Renamed(_text(row, "path"), _text(row, "from"), _text(row, "to"), prefix)


def _dropped(row: dict[str, Any]) -> Dropped:
    kind = _text(row, "kind")
    if kind not in set(Kind):
        raise InputError(_BAD, f'nothing is dropped as "{kind[:40]}"')
    return Dropped(
        Kind(kind), _text(row, "path"), _text(row, "name"), _text(row, "why"), _count(row, "count")
    )
