"""One fuzz target per parser of hostile bytes. A target takes bytes and may raise nothing but the errors it documents."""

import contextlib
import functools
import tempfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.core.artifact import Member
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError, WeighbridgeError
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.core.value import replace
from weighbridge.formats import FORMATS, read
from weighbridge.scan.engine import Scanner

if TYPE_CHECKING:
    from weighbridge.sign.anchor import KeyAnchor
    from weighbridge.sign.signer import PemSigner

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


SIDE_FILES = ("c.yaml", "Modelfile", "requirements.txt", "pyproject.toml", "tokenizer.json", "n.ipynb")


def repository(data: bytes) -> None:
    """The same under the names of side files, whose rules go by them; two names for each input, chosen by its bytes."""
    first = zlib.crc32(data) % len(SIDE_FILES)
    for name in (SIDE_FILES * 2)[first : first + 2] if b"\0" not in data[:4096] else ():
        examination = Scanner(LIMITS).examine(Member(name, len(data)), MemorySource(data))
        assert not [item for item in examination.unread if item.code == "internal-error"], examination.unread


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


def receipt(data: bytes) -> None:
    """A receipt that somebody hands over."""
    from weighbridge.sign.receipt import is_receipt, read_receipt

    is_receipt(data)
    with contextlib.suppress(InputError, LimitError):
        read_receipt(data)


def conversion(data: bytes) -> None:
    """A whole conversion: it is refused with a reason, or every tensor of the copy was found equal."""
    from weighbridge.convert import Recipe, convert
    from weighbridge.core.errors import UsageError

    with tempfile.TemporaryDirectory() as folder:
        model, out = Path(folder, "model.pt"), Path(folder, "model.safetensors")
        model.write_bytes(data)
        try:
            done = convert(Recipe(path=str(model), partial=True, limits=LIMITS), now=NOW)
        except (InputError, LimitError, UsageError):
            assert not out.exists()
            assert [path.name for path in Path(folder).iterdir()] == [model.name]
        else:
            assert done.receipt.equality.holds


def weights(data: bytes) -> None:
    """The bytes as a model with a look at its numbers, and as the numbers of a tensor themselves."""
    from weighbridge.formats.reading import TensorRef
    from weighbridge.scan.weights import look_at_weights

    examination = Scanner(LIMITS, weights=True).examine(Member("file.bin", len(data)), MemorySource(data))
    assert not [item for item in examination.unread if item.code == "internal-error"], examination.unread
    for dtype in ("F32", "F16", "U8"):
        ref = TensorRef(name="w", dtype=dtype, shape=(len(data),), spans=((0, len(data)),))
        look_at_weights(MemorySource(data), [ref], Budget(LIMITS))


def graphs(data: bytes) -> None:
    """The graph of whatever it is, compared with one that is known; the examiner says why there is none."""
    from weighbridge.core.graph import Graph, Node
    from weighbridge.core.graphchanges import graph_changes
    from weighbridge.measure.graphs import graph_examiner

    for name in ("m.onnx", "m.tflite", "m.keras", "config.json"):
        answer = graph_examiner(LIMITS)(Member(name, len(data)), MemorySource(data))
        assert "the reader broke" not in answer.why, answer.why
        if answer.graph is not None:
            graph_changes(name, Graph(inputs=("x",), nodes=(Node(op="Relu", inputs=("x",)),)), answer.graph)


def said(data: bytes) -> None:
    """A statement of any kind, to its typed predicate and back; and as the bulk reader takes it."""
    from weighbridge.attest import predicates
    from weighbridge.attest.batch import _kind_of
    from weighbridge.core.statement import read_statement

    kind = _kind_of(data)
    assert not kind or read_statement(data).predicate_type == kind
    with contextlib.suppress(InputError, LimitError):
        one = read_statement(data)
        value = predicates.read(one)
        predicates.say(one)
        predicates.step_of(one)
        found = predicates.kind_of(one.predicate_type)
        assert found is not None
        again = replace(one, predicate=predicates.write(found, value))
        assert predicates.read(again) == value


def lineage_import(data: bytes) -> None:
    """Cards, edges and bundles in bulk, and the front matter of a README: counted, and never raised."""
    from weighbridge.attest.attestation import judge_one
    from weighbridge.lineage.edge import Grade
    from weighbridge.lineage.intake import Intake, front_matter
    from weighbridge.lineage.nodes import check_key

    intake = Intake(lambda bundle: judge_one(bundle, (), (), NOW))
    for number, line in enumerate(data.splitlines()[:50]):
        for edge in intake.line(line, f"cards.jsonl:{number}"):
            assert edge.grade is Grade.DECLARED
            check_key(edge.child)
            check_key(edge.parent)
    with contextlib.suppress(InputError, LimitError):
        front_matter(b"---\n" + data[:20_000] + b"\n---\n")


NOW = datetime(2026, 11, 23, tzinfo=UTC)


@functools.cache
def somebody() -> tuple["PemSigner", "KeyAnchor"]:
    """A key that may call back, so that what a target states is read to its end."""
    from weighbridge.sign import keys
    from weighbridge.sign.anchor import KeyAnchor
    from weighbridge.sign.signer import PemSigner

    private = keys.generate("ed25519")
    public = keys.public_pem(private.public_key())
    anchor = KeyAnchor(name="office", roles=("recall",), public_key_pem=public)
    return PemSigner(keys.private_pem(private)), anchor


def recall_lists(data: bytes) -> None:
    """A file of lists; and the bytes as what somebody who may call back has signed: it counts, or it is told why not."""
    from weighbridge.evidence.recalls import read_lists
    from weighbridge.sign.signer import sign_statement

    signer, anchor = somebody()
    read_lists([("recalls.jsonl", data)], [anchor], (), NOW)
    lists, problems = read_lists([("recalls.jsonl", sign_statement(data, signer))], [anchor], (), NOW)
    assert len(lists) + len(problems) == 1
    assert all(one.issued.tzinfo for one in lists)


def layouts(data: bytes) -> None:
    """An in-toto layout and a link, as they stand and as signed by the layout's owner: an answer, whatever it is."""
    import base64
    import json

    from weighbridge.attest.intoto import verify_layout
    from weighbridge.attest.intoto.metadata import key_of_pem
    from weighbridge.core.manifest import Manifest
    from weighbridge.sign.dsse import PAYLOAD_TYPE, pae
    from weighbridge.sign.signer import sign_statement

    signer, anchor = somebody()
    owner, nothing = key_of_pem(anchor.public_key_pem), Manifest(entries=())
    assert verify_layout(data, [owner], {}, nothing, NOW).outcome is not Outcome.PASS
    envelope = json.loads(sign_statement(data, signer))["dsseEnvelope"]
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    assert owner.verifies(signature, pae(data))
    envelope["signatures"][0]["keyid"] = "0" * 64
    assert envelope["payloadType"] == PAYLOAD_TYPE
    whole = json.dumps(envelope).encode()
    verify_layout(whole, [owner], {"train.00000000.link": data, "test.00000000.link": whole}, nothing, NOW)


def log_files(data: bytes) -> None:
    """What a log shows and what its operator and its readers keep: notes, proofs, entries, policies, `log.toml`."""
    from weighbridge.cli.log.folder import CONFIG, read_folder
    from weighbridge.core.errors import TrustError, UsageError
    from weighbridge.tlog.checkpoint import read_checkpoint
    from weighbridge.tlog.entry import read_entry, write_entry
    from weighbridge.tlog.note import read_note
    from weighbridge.tlog.policy import read_policy
    from weighbridge.tlog.proof import read_proofs

    with contextlib.suppress(InputError):
        assert read_entry(write_entry(read_entry(data))) == read_entry(data)
    with contextlib.suppress(InputError):
        read_checkpoint(read_note(data, "the note").text)
    with contextlib.suppress(InputError, LimitError):
        read_proofs(data)
    with contextlib.suppress(InputError, LimitError, TrustError):
        read_policy(data, "the policy")
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(UsageError):
        Path(folder, CONFIG).write_bytes(data)
        assert read_folder(Path(folder)).origin


def quarantine_record(data: bytes) -> None:
    """The record of a contribution and of its release: read, or damaged."""
    from weighbridge.core.wire import write_json
    from weighbridge.pipeline.quarantine import RECORD, RELEASED, Quarantine

    identity = "0" * 64
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, identity).mkdir()
        Path(folder, identity, RECORD).write_bytes(data)
        Path(folder, identity, RELEASED).write_bytes(data)
        with contextlib.suppress(InputError):
            quarantine = Quarantine(Path(folder))
            record = quarantine.record(identity)
            quarantine.released(record)
            write_json([record.received, record.verdict, [dict(one) for one in record.findings]])


TARGETS: dict[str, Callable[[bytes], None]] = {
    **{f"format-{candidate}": reader(candidate) for candidate in FORMATS},
    "scanner": scanner,
    "repository": repository,
    "bundles": bundles,
    "statement": statement,
    "said": said,
    "json": json_document,
    "report": report,
    "receipt": receipt,
    "conversion": conversion,
    "weights": weights,
    "graphs": graphs,
    "lineage-import": lineage_import,
    "recall-lists": recall_lists,
    "layouts": layouts,
    "log-files": log_files,
    "quarantine-record": quarantine_record,
}
