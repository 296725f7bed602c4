"""One fuzz target per parser of hostile bytes. A target takes bytes and may raise nothing but the errors it documents."""

import contextlib
from collections.abc import Callable

from weighbridge.core.artifact import Member
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError, WeighbridgeError
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.formats import FORMATS, read
from weighbridge.scan.engine import Scanner

LIMITS = Limits(bytes=64 * 1024**2, depth=6, members=50_000, seconds=10, memory=16 * 1024**2)


def reader(candidate: str) -> Callable[[bytes], None]:
    """A format's reader, straight."""

    def target(data: bytes) -> None:
        with contextlib.suppress(InputError, LimitError):
            read(candidate, MemorySource(data), Budget(LIMITS), f"file.{candidate}")

    return target


def scanner(data: bytes) -> None:
    """The whole engine: it never raises, and a crash inside it is a defect although it ends as UNKNOWN."""
    examination = Scanner(LIMITS).examine(Member("file.bin", len(data)), MemorySource(data))
    assert not [item for item in examination.unread if item.code == "internal-error"], examination.unread
    if examination.unread:
        assert examination.result.outcome is not Outcome.PASS


def bundles(data: bytes) -> None:
    """Signature bundles and the statement inside."""
    from weighbridge.sign.bundle import read_bundles
    from weighbridge.sign.oms import parse_statement

    try:
        for bundle in read_bundles(data, "model.sig"):
            parse_statement(bundle.envelope.payload)
    except (InputError, LimitError):
        pass


def statement(data: bytes) -> None:
    """The OMS statement alone."""
    from weighbridge.sign.oms import parse_statement

    with contextlib.suppress(InputError, LimitError):
        parse_statement(data)


def json_document(data: bytes) -> None:
    """The strict JSON reader."""
    from weighbridge.core.wire import read_json

    with contextlib.suppress(InputError, LimitError):
        read_json(data, "document")


def report(data: bytes) -> None:
    """A saved report."""
    from weighbridge.report import read_report

    with contextlib.suppress(WeighbridgeError):
        read_report(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    **{f"format-{candidate}": reader(candidate) for candidate in FORMATS},
    "scanner": scanner,
    "bundles": bundles,
    "statement": statement,
    "json": json_document,
    "report": report,
}
