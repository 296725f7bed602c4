"""The receipt: against its schema, through the strict reader, signed, and proved again from both sides."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.conftest import Run, nobody_else, weighbridge  # noqa: F401 - fixtures
from tests.convert.makers import SHELL, checkpoint, read, tensor
from tests.convert.test_convert import W, floats, repository  # noqa: F401 - fixture
from tests.report.test_json import closed
from weighbridge.convert import proof
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.manifest import TensorEntry
from weighbridge.core.receipt import Dropped, Equality, Kind, Output, Receipt, Renamed, Seen, Side
from weighbridge.report.receipt import comparison, document, receipt_statement, screen
from weighbridge.sign.receipt import is_receipt, read_receipt

ROOT = Path(__file__).parents[2]
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "schemas/convert.v1.json").read_text()))

names = st.text(max_size=12)
counts = st.integers(0, 2**40)
digests = st.binary(min_size=4, max_size=4).map(lambda raw: f"sha256:{raw.hex()}")
sides = st.builds(
    Side, name=names, files=counts, bytes=counts, files_digest=digests, tensors_digest=st.none() | digests
)
RECEIPTS = st.builds(
    Receipt,
    target=st.sampled_from(["safetensors", "gguf", "onnx"]),
    source=sides,
    output=sides,
    outputs=st.lists(st.builds(Output, names, counts, st.just("ab" * 32), names), max_size=3).map(tuple),
    equality=st.builds(Equality, compared=counts, equal=counts, different=st.just(("a",)), missing=st.just(()), extra=st.just(())),
    converted=st.lists(st.tuples(names, names), max_size=2).map(tuple),
    renamed=st.lists(st.builds(Renamed, names, names, names, st.booleans()), max_size=2).map(tuple),
    dropped=st.lists(st.builds(Dropped, st.sampled_from(Kind), names, names, names, counts), max_size=2).map(tuple),
    tied=st.just((("a", "b"),)),
    findings=st.lists(st.builds(Seen, names, st.just("error"), names, names, names), max_size=2).map(tuple),
    findings_more=counts,
    dangerous=st.booleans(),
    version=names,
    time=names,
)  # fmt: skip


@given(RECEIPTS)
@settings(deadline=None, max_examples=60)
def test_a_receipt_is_read_back_as_it_was(receipt: Receipt) -> None:
    data = json.dumps(receipt_statement(receipt)).encode()
    assert is_receipt(data)
    assert read_receipt(data) == receipt
    SCHEMA.validate(document(receipt, place="x", receipt=None, seconds=0.1))


@given(RECEIPTS)
@settings(deadline=None, max_examples=30)
def test_no_name_can_reach_the_terminal(receipt: Receipt) -> None:
    text = screen(receipt, "x", 0.1, verbose=True)
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not [char for char in text if char != "\n" and unicodedata.category(char) in hidden]


def statement(**changes: Any) -> bytes:
    side = Side(name="m", files=1, bytes=4, files_digest="sha256:" + "ab" * 32)
    receipt = Receipt(
        target="safetensors", source=side, output=side, outputs=(), equality=Equality(compared=1, equal=1)
    )
    whole = receipt_statement(receipt)
    for path, value in changes.items():
        place = whole["predicate"] if path in whole["predicate"] else whole
        place[path] = value
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    "data",
    [
        statement(subject=[]),
        statement(subject=[{"name": "m", "digest": {"weighbridge-files-v1-sha256": "cd" * 32}}]),
        statement(subject=[{"name": "m", "digest": {"sha256": "ab" * 32}}]),
        statement(predicateType="weighbridge.check/v1"),
        statement(source={}),
        statement(
            source={"name": "m", "files": -1, "bytes": 1, "digests": {"files": "sha256:00", "tensors": None}}
        ),
        statement(outputs=[1]),
        statement(converted=[{"from": "a"}]),
        statement(renamed=[{"path": "a", "from": "", "to": "", "prefix": 1}]),
        statement(dropped=[{"kind": "soul", "path": "", "name": "", "why": "", "count": 1}]),
        statement(dropped=[{"kind": "file", "path": "", "name": "", "why": "", "count": True}]),
        statement(tied=[[1]]),
        statement(dangerous="no"),
        statement(findings=[{"rule": "x"}]),
        statement(equality={"compared": 1}),
        b"[]",
    ],
)
def test_what_is_no_receipt_is_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read_receipt(data)
    assert caught.value.code == "bad-receipt"


@given(st.binary(max_size=80))
def test_noise_is_no_receipt(data: bytes) -> None:
    assert not is_receipt(data)
    with pytest.raises((InputError, LimitError)):
        read_receipt(data)


# -- the comparison


def entry(name: str, path: str = "a.pt", data: bytes = b"1") -> TensorEntry:
    return TensorEntry(name, "F32", (1,), data, path)


def test_the_comparison_sees_every_difference() -> None:
    source = [
        entry("m.same"),
        entry("m.changed"),
        entry("m.lost"),
        entry("o.x"),
        entry("gone"),
        entry("else", "b.pt"),
    ]
    output = [
        entry("same", "n.safetensors"),
        entry("changed", "n.safetensors", b"2"),
        entry("new", "n.safetensors"),
    ]
    found = proof.equality(
        source,
        output,
        converted={"a.pt": "n.safetensors"},
        renamed=[Renamed("a.pt", "m.", "", prefix=True)],
        dropped=[Dropped(Kind.TENSORS, "a.pt", "o.", ""), Dropped(Kind.TENSOR, "a.pt", "gone", "")],
    )
    assert (found.compared, found.equal, found.holds) == (3, 1, False)
    assert (found.different, found.missing, found.extra) == (("changed",), ("lost",), ("new",))


@pytest.mark.parametrize(
    ("dtype", "shape", "data"), [("F16", (1,), b"1"), ("F32", (1, 1), b"1"), ("F32", (1,), b"2")]
)
def test_type_shape_and_bytes_all_count(dtype: str, shape: tuple[int, ...], data: bytes) -> None:
    other = TensorEntry("w", dtype, shape, data, "n.safetensors")
    assert not proof.equality([entry("w")], [other], converted={"a.pt": "n.safetensors"}).holds


def test_nothing_compared_is_not_equal() -> None:
    assert not proof.equality([], [], converted={}).holds


# -- the program


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "a.pt"
    path.write_bytes(
        checkpoint({"state_dict": {"w": W, "b": tensor("F32", (1,), floats(5))}, "epoch": 1}, before=SHELL)
    )
    return path


def test_a_dangerous_source_is_done_and_said(weighbridge: Run, model: Path) -> None:  # noqa: F811
    answer = weighbridge("convert", model)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].startswith("CONVERTED  a.pt  sha256:")
    assert "  ✗ source  loading it can run code or do other harm; nothing of that was run or copied" in lines
    assert "  error[pickle-unsafe-call]: loading this file runs a shell command" in lines
    assert "  renamed  state_dict.* to * in a.pt   (--keep-names keeps them)" in lines
    assert lines[-1].startswith("CONVERTED: 2 tensors equal, 0 dropped")


def test_the_document_follows_its_schema(weighbridge: Run, model: Path) -> None:  # noqa: F811
    found = weighbridge("convert", model, "--format", "json").json
    SCHEMA.validate(found)
    strict = {**closed(json.loads((ROOT / "schemas/convert.v1.json").read_text())["$defs"]["predicate"])}
    for key, value in found.items():
        assert key in strict["properties"] or key in ("schema", "command", "place", "receipt", "seconds"), (
            key,
            value,
        )
    assert (found["schema"], found["dangerous"]) == ("weighbridge.convert/v1", True)
    assert found["equality"]["equal"] == found["equality"]["compared"] == 2
    assert found["equality"]["sameTensorSet"] is False
    assert found["receipt"] is None


def test_a_signed_receipt_is_proved_again(weighbridge: Run, model: Path) -> None:  # noqa: F811
    for name in ("release", "other"):
        weighbridge("key", "new", name)
    assert weighbridge("convert", model, "--key", "release.key").code == 0
    receipt = "a.safetensors.receipt.jsonl"
    again = ("convert", "a.pt", "--against", "a.safetensors", "--receipt", receipt)
    answer = weighbridge(*again, "--key", "release.pub", "-f", "json")
    SCHEMA.validate(answer.json)
    assert (answer.code, answer.json["equal"], answer.json["signed"]) == (0, True, "pass")
    assert weighbridge(*again).code == 0
    assert weighbridge(*again, "-f", "json").json["signed"] == "unknown"
    stranger = weighbridge(*again, "--key", "other.pub", "-f", "json")
    assert (stranger.code, stranger.json["equal"], stranger.json["signed"]) == (1, False, "fail")
    assert weighbridge("verify", "a.safetensors", "--key", "release.pub", "--signature", receipt).code != 0


def test_a_changed_copy_is_named(weighbridge: Run, model: Path) -> None:  # noqa: F811
    weighbridge("convert", model, "--receipt", "r.json")
    assert json.loads(Path("r.json").read_text())["predicateType"] == "weighbridge.convert/v1"
    again = ("convert", "a.pt", "--against", "a.safetensors", "--receipt", "r.json")
    assert weighbridge(*again).code == 0
    assert weighbridge(*again, "--key", "release.pub").code == 1
    copy = Path("a.safetensors")
    data = bytearray(copy.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    answer = weighbridge(*again)
    assert answer.code == 1
    assert answer.out.splitlines()[0] == "NOT EQUAL  1 of 2 tensors"
    assert "different  b" in answer.out or "different  w" in answer.out
    assert "✗ output  is not the sha256:" in answer.out


def test_another_source_is_named(weighbridge: Run, model: Path) -> None:  # noqa: F811
    weighbridge("convert", model, "--receipt", "r.json")
    model.write_bytes(checkpoint({"state_dict": {"w": W, "b": tensor("F32", (1,), floats(6))}}))
    found = weighbridge("convert", "a.pt", "--against", "a.safetensors", "--receipt", "r.json", "-f", "json")
    assert (found.code, found.json["source_as_stated"], found.json["equality"]["different"]) == (
        1,
        False,
        ["b"],
    )


def test_a_forged_receipt_cannot_hide_a_tensor(weighbridge: Run, model: Path) -> None:  # noqa: F811
    """Whoever changes a tensor and the digests in an unsigned receipt still has two sides that differ."""
    weighbridge("convert", model, "--receipt", "r.json")
    copy = Path("a.safetensors")
    data = bytearray(copy.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    found = json.loads(Path("r.json").read_text())
    old = found["predicate"]["output"]["digests"]["files"]
    new = weighbridge("digest", "a.safetensors", "-f", "json").json["files"]
    Path("r.json").write_text(json.dumps(found).replace(old.partition(":")[2], new.partition(":")[2]))
    answer = weighbridge("convert", "a.pt", "--against", "a.safetensors", "--receipt", "r.json", "-f", "json")
    assert (answer.code, answer.json["output_as_stated"], answer.json["equality"]["equal"]) == (1, True, 1)


def test_a_folder_with_copies_is_proved_again(weighbridge: Run, repository: Path) -> None:  # noqa: F811
    out = f"{repository}-safetensors"
    assert weighbridge("convert", repository, "--receipt", "r.json").code == 0
    again = ("convert", repository, "--against", out, "--receipt", "r.json", "-f", "json")
    assert weighbridge(*again).code == 0
    Path(out, "config.json").write_text("{}")
    answer = weighbridge(*again)
    assert (answer.code, answer.json["copies_differ"], answer.json["equality"]["equal"]) == (
        1,
        ["config.json"],
        2,
    )


def test_a_receipt_is_needed_and_must_be_one(weighbridge: Run, model: Path) -> None:  # noqa: F811
    weighbridge("convert", model)
    assert "[receipt-needed]" in weighbridge("convert", model, "--against", "a.safetensors").err
    for data, code in ((b"{}", "bad-receipt"), (b"", "bad-receipt")):
        Path("r").write_bytes(data)
        answer = weighbridge("convert", model, "--against", "a.safetensors", "--receipt", "r")
        assert (answer.code, f"[{code}]" in answer.err) == (2, True)
    assert (
        "[no-such-path]" in weighbridge("convert", model, "--against", "a.safetensors", "--receipt", "no").err
    )


def test_a_signed_model_is_converted_without_its_signature(weighbridge: Run, repository: Path) -> None:  # noqa: F811
    weighbridge("key", "new", "release")
    weighbridge("sign", repository, "--key", "release.key")
    digest = weighbridge("digest", repository, "-f", "json").json["files"]
    found = weighbridge("convert", repository, "-f", "json").json
    assert found["source"]["digests"]["files"] == digest
    assert not Path(f"{repository}-safetensors", "model.sig").exists()


def test_quiet_says_one_line_and_errors_are_documents(weighbridge: Run, model: Path) -> None:  # noqa: F811
    assert len(weighbridge("convert", model, "-q").out.splitlines()) == 1
    answer = weighbridge("convert", model, "-f", "json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "file-exists")
    missing = weighbridge("convert", "nothing.pt", "-f", "json")
    assert missing.json["error"]["code"] == "no-such-path"


def test_a_copy_passes_the_scan_that_its_source_fails(weighbridge: Run, model: Path) -> None:  # noqa: F811
    assert weighbridge("scan", model).code == 1
    weighbridge("convert", model)
    assert weighbridge("scan", "a.safetensors").code == 0
    assert read(Path("a.safetensors")).metadata == {"format": "pt", "epoch": "1"}


def test_a_comparison_for_people() -> None:
    side = Side(name="m", files=1, bytes=4, files_digest="sha256:" + "ab" * 32)
    receipt = Receipt(
        target="safetensors", source=side, output=side, outputs=(), equality=Equality(compared=1, equal=0)
    )
    found = {
        "equal": False, "source_as_stated": True, "output_as_stated": False, "copies_differ": ["x"], "signed": "fail",
        "signed_why": "by nobody", "equality": {"equal": 0, "compared": 1, "different": ["w\x1b"], "missing": [], "extra": []},
    }  # fmt: skip
    text = comparison(receipt, found)
    assert "\x1b" not in text
    assert text.splitlines()[-1] == "NOT EQUAL: exit 1"
