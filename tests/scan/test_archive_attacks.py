"""Attacks by container, ONNX and safetensors through the whole scanner: which must fail, which rule says so, what passes.

Tests of published weaknesses are named after them. Payloads are `echo weighbridge-sample`, a text, or zeros.
"""

import bz2
import gzip
import io
import itertools
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping

import lz4.frame
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats import sevenzipmaker
from tests.formats.zipmaker import DEFLATED, Item, deflate, make
from tests.scan.samples import scan
from tests.tensorfiles import attribute, external, framed, message, model, node, number, safetensors, tensor
from weighbridge.core.artifact import Member
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.scan.engine import Examination, Scanner

CALL = b"\x80\x02cposix\nsystem\nX\x17\0\0\0echo weighbridge-sample\x85R."
PLAIN = b"\x80\x02}."
TEXT = b"weights: none\n"
ELF = b"\x7fELF\x02\x01\x01" + bytes(121)


def examine(name: str, data: bytes) -> Examination:
    return Scanner().examine(Member(name, len(data)), MemorySource(data))


def judged(name: str, data: bytes) -> tuple[Outcome, set[str]]:
    found = examine(name, data)
    assert not [u for u in found.unread if u.code == "internal-error"], found.unread
    return found.result.outcome, {finding.rule for finding in found.findings if finding.severity == "error"}


def tar(*members: tuple[str, bytes, dict[str, object]], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data, changes in members:
            made = tarfile.TarInfo(name)
            made.size = len(data)
            for key, value in changes.items():
                setattr(made, key, value)
            archive.addfile(made, io.BytesIO(data))
    return buffer.getvalue()


def seven(*items: sevenzipmaker.Item, **lies: object) -> bytes:
    return sevenzipmaker.make(*items, **lies)


STREAMS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
    "lz4": lz4.frame.compress,
    "zst": zstd.compress,
}


def archives(name: str, data: bytes) -> Mapping[str, bytes]:
    """The same member in every container that is opened."""
    return {
        "zip": make(Item(name=name, data=data)),
        "deflated.zip": make(Item(name=name, data=data, method=DEFLATED)),
        "tar": tar((name, data, {})),
        "7z": seven(sevenzipmaker.Item(name=name, data=data)),
        **{f"tar.{suffix}": pack(tar((name, data, {}))) for suffix, pack in STREAMS.items()},
    }


# -- contents ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", archives("model.pkl", CALL))
def test_a_call_in_any_container_fails(kind: str) -> None:
    outcome, rules = judged(f"model.{kind}", archives("model.pkl", CALL)[kind])
    assert (outcome, "pickle-unsafe-call" in rules) == (Outcome.FAIL, True)


@pytest.mark.parametrize("kind", archives("notes.txt", TEXT))
def test_a_text_in_any_container_passes(kind: str) -> None:
    assert judged(f"model.{kind}", archives("notes.txt", TEXT)[kind]) == (Outcome.PASS, set())


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(archives("a", b"a"), repeat=2)))
def test_a_call_in_every_container_in_every_container_fails(outer: str, inner: str) -> None:
    data = archives(f"model.{inner}", archives("model.pkl", CALL)[inner])[outer]
    assert judged(f"model.{outer}", data)[0] is Outcome.FAIL


HEADS = {
    "pickle": CALL,
    "safetensors": safetensors({"w": ("U8", [4], 0, 4)}, b"abcd"),
    "onnx": model(node("Relu")),
    "tar": tar(("notes.txt", TEXT, {})),
    "gzip": gzip.compress(TEXT),
    "zstd": zstd.compress(TEXT),
    "7z": seven(sevenzipmaker.Item(name="notes.txt", data=TEXT)),
    "png": b"\x89PNG\r\n\x1a\n" + struct.pack(">L", 0) + b"IEND" + struct.pack(">L", zlib.crc32(b"IEND")),
    "elf": ELF,
    "text": TEXT,
}
TAILS = {
    "zip": make(Item(name="model/data.pkl", data=CALL), Item(name="model/version", data=b"3\n")),
    "pickle": CALL,
    "gzip": gzip.compress(CALL),
    "7z": seven(sevenzipmaker.Item(name="model.pkl", data=CALL)),
}


@pytest.mark.parametrize(("head", "tail"), list(itertools.product(HEADS, TAILS)))
def test_no_polyglot_passes(head: str, tail: str) -> None:
    for name in ("model.bin", "model.pt", "model.safetensors"):
        outcome, _ = judged(name, HEADS[head] + TAILS[tail])
        assert outcome is not Outcome.PASS
        if tail == "zip":
            assert outcome is Outcome.FAIL


# -- names and links -----------------------------------------------------------------------------------------------

ESCAPES = ["../notes.txt", "a/../../notes.txt", "/tmp/notes.txt", "C:\\notes.txt", "\\\\host\\notes.txt", "..\\notes.txt"]  # fmt: skip


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("kind", ["zip", "tar", "7z", "tar.zst"])
def test_names_that_lead_out_fail(kind: str, name: str) -> None:
    assert judged(f"model.{kind}", archives(name, TEXT)[kind]) == (Outcome.FAIL, {"archive-path-escape"})


@pytest.mark.parametrize(
    "data",
    [
        tar(("../notes.txt", TEXT, {}), form=tarfile.GNU_FORMAT),
        tar(("../" + "n" * 120, TEXT, {}), form=tarfile.GNU_FORMAT),
        tar(("notes.txt", TEXT, {"pax_headers": {"path": "../../notes.txt"}})),
        tar(("notes.txt", TEXT, {}), form=tarfile.GNU_FORMAT).replace(b"notes.txt", b"/etc/note"),
    ],
)
def test_every_way_a_tar_file_gives_a_name_is_followed(data: bytes) -> None:
    head = bytearray(data)
    if head[:9] == b"/etc/note":
        head[148:156] = b" " * 8
        head[148:156] = f"{sum(head[:512]):06o}\0 ".encode()
    assert judged("model.tar", bytes(head)) == (Outcome.FAIL, {"archive-path-escape"})


SYMLINK, HARDLINK = {"type": tarfile.SYMTYPE}, {"type": tarfile.LNKTYPE}


def test_zip_members_written_through_a_link_fail() -> None:
    link = Item(name="w", data=b"elsewhere", central={"mode": 0o120777})
    assert judged("model.zip", make(link, Item(name="w/a.txt", data=TEXT))) == (
        Outcome.FAIL,
        {"archive-symlink"},
    )


def test_links_that_stay_inside_pass() -> None:
    data = tar(("blobs/a", TEXT, {}), ("snapshots/1/a.txt", b"", {**SYMLINK, "linkname": "../../blobs/a"}))
    assert judged("model.tar", data) == (Outcome.PASS, set())


@pytest.mark.parametrize("name", ["aux.txt", "model/NUL", "com1.bin/a.txt", "notes. "])
def test_names_that_are_others_on_windows_are_noted(name: str) -> None:
    found = examine("model.zip", make(Item(name=name, data=TEXT)))
    assert "archive-ambiguous-name" in {finding.rule for finding in found.findings}


# -- bombs ---------------------------------------------------------------------------------------------------------

ZEROS = bytes(12_000_000)


@pytest.mark.parametrize("suffix", [suffix for suffix in STREAMS if suffix != "lz4"])
def test_a_bomb_in_every_stream_fails(suffix: str) -> None:
    outcome, rules = judged(f"model.bin.{suffix}", STREAMS[suffix](ZEROS))
    assert (outcome, rules) == (Outcome.FAIL, {"compressed-bomb"})


def test_a_bomb_whose_header_says_little_fails() -> None:
    lie = {"size": 100}
    data = make(Item(name="zeros.txt", data=ZEROS, method=DEFLATED, local=lie, central=lie))
    assert "archive-bomb" in judged("model.zip", data)[1]


def test_many_small_bombs_fail() -> None:
    packed = deflate(bytes(2_000_000))
    members = [Item(name=f"{i}.bin", data=b"", method=DEFLATED, packed=packed, local=lie, central=lie)
               for i in range(60) for lie in [{"size": 2_000_000, "crc": zlib.crc32(bytes(2_000_000))}]]  # fmt: skip
    assert judged("model.zip", make(*members)) == (Outcome.FAIL, {"archive-bomb"})


def test_copies_of_one_archive_fail() -> None:
    inner = make(Item(name="notes.txt", data=TEXT))
    data = make(*[Item(name=f"{i}.zip", data=inner) for i in range(12)])
    assert judged("model.zip", data) == (Outcome.FAIL, {"archive-bomb"})


def test_the_overlap_bomb_of_fifield_fails() -> None:
    kernel = Item(name="kernel", data=TEXT)
    others = [Item(name=f"{i}", data=TEXT, central={"offset": 0}) for i in range(5)]
    assert "archive-bomb" in judged("model.zip", make(kernel, *others))[1]


@pytest.mark.parametrize("kind", ["zip", "tar", "7z", "tar.gz"])
def test_nesting_beyond_the_limit_fails(kind: str) -> None:
    data = archives("notes.txt", TEXT)[kind]
    for _ in range(18):
        data = archives(f"model.{kind}", data)[kind]
    assert judged(f"model.{kind}", data) == (Outcome.FAIL, {"archive-bomb"})


def test_weights_of_zeros_are_no_bomb() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        header = (
            b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000,), }"
        )
        archive.writestr("bias.npy", header.ljust(127) + b"\n" + bytes(4_000_000))
    assert judged("model.npz", buffer.getvalue()) == (Outcome.PASS, set())


# -- contents that no member accounts for -----------------------------------------------------------------------------


def test_what_stands_in_a_skippable_frame_does_not_pass() -> None:
    frame = b"\x50\x2a\x4d\x18" + struct.pack("<L", len(CALL)) + CALL
    for pack in (zstd.compress, lz4.frame.compress):
        for data in (frame + pack(TEXT), pack(TEXT) + frame):
            assert judged("model.bin", data)[0] is Outcome.FAIL


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "lz4", "zst"])
def test_a_second_stream_is_read_with_the_first(suffix: str) -> None:
    pack = STREAMS[suffix]
    for padding in (b"", bytes(700_000)):
        data = pack(CALL[:10]) + padding + pack(CALL[10:])
        assert judged(f"model.pkl.{suffix}", data)[0] is Outcome.FAIL


def test_a_gzip_header_is_no_place_to_hide() -> None:
    fields = b"../../weighbridge-sample.txt\0"
    data = b"\x1f\x8b\x08\x08" + bytes(6) + fields + gzip.compress(TEXT)[10:]
    assert judged("notes.txt.gz", data) == (Outcome.FAIL, {"archive-path-escape"})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.rar", b"Rar!\x1a\x07\x01\x00" + bytes(40)), ("model.cab", b"MSCF\0\0\0\0" + bytes(40)), ("model.a", b"!<arch>\n" + TEXT),
        ("model.cpio", b"070701" + b"0" * 104), ("model.Z", b"\x1f\x9d\x90" + bytes(20)), ("model.lzo", b"\x89LZO\0\r\n\x1a\n" + bytes(20)),
        ("model.sz", b"\xff\x06\0\0sNaPpY" + bytes(20)), ("model.br", b"\x0b\x02\x80abc\x03"), ("model.iso", bytes(0x8001) + b"CD001" + bytes(2048)),
        ("model.dmg", bytes(1000) + b"koly" + bytes(508)),
    ],
)  # fmt: skip
def test_archives_that_are_not_opened_are_undecided(name: str, data: bytes) -> None:
    found = examine(name, data)
    assert found.result.outcome is Outcome.UNKNOWN
    assert "archive-unopened" in {finding.rule for finding in found.findings}


# -- ONNX ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "domain", "outcome"),
    [
        ("Surprise", "com.example", Outcome.FAIL),
        ("ExecuteCommand", "ai.onnx.contrib", Outcome.FAIL),
        ("LoadLibrary", "", Outcome.FAIL),
        ("OpenAIAudioToText", "com.microsoft.extensions", Outcome.FAIL),
        ("PyFunction", "mine", Outcome.FAIL),
        ("BertTokenizer", "ai.onnx.contrib", Outcome.UNKNOWN),
        ("EfficientNMS_TRT", "TRT", Outcome.UNKNOWN),
        ("NewerThanWe", "", Outcome.UNKNOWN),
        ("Adam", "ai.onnx.preview.training", Outcome.PASS),
        ("MatMulNBits", "com.microsoft", Outcome.PASS),
    ],
)
def test_operators_by_domain(operator: str, domain: str, outcome: Outcome) -> None:
    assert judged("model.onnx", model(node(operator, domain=domain)))[0] is outcome


PLACES = {
    "unknown field": lambda data: model(node("Relu"), extra=message(999, data)),
    "unknown field in a node": lambda data: model(node("Relu", attributes=message(77, data))),
    "metadata": lambda data: model(node("Relu"), extra=message(14, message(1, "note"), message(2, data))),
    "metadata of a graph": lambda data: model(node("Relu"), message(16, message(1, "note"), message(2, data))),
    "documentation": lambda data: model(node("Relu"), extra=message(6, data)),
    "tensor": lambda data: model(node("Relu"), tensor(5, "w", [len(data)], 2, message(9, data))),
    "attribute": lambda data: model(node("Constant", attributes=attribute("value", message(4, data), number(20, 3)))),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("data", [ELF, CALL + bytes(40)])
def test_programs_and_pickles_anywhere_in_a_model_fail(place: str, data: bytes) -> None:
    assert judged("model.onnx", PLACES[place](data))[0] is Outcome.FAIL


@pytest.mark.parametrize("place", ["metadata", "metadata of a graph", "documentation"])
def test_encoded_programs_in_texts_fail(place: str) -> None:
    import base64

    for text in (base64.b64encode(ELF), base64.b64encode(ELF * 60), ELF.hex().encode()):
        assert judged("model.onnx", PLACES[place](text))[0] is Outcome.FAIL
    for text in (
        b"x" * 500,
        base64.b64encode(TEXT * 9),
        b"0123456789abcdef" * 8,
        json.dumps({"names": list("abc") * 40}).encode(),
    ):
        assert judged("model.onnx", PLACES[place](text))[0] is Outcome.PASS


def test_external_data_behind_its_file_fails() -> None:
    for numbers in ({"offset": "4"}, {"length": "8", "offset": "100"}, {"offset": "9223372036854775807"}):
        data = model(node("Relu"), tensor(5, "w", [2], 1, external("w.bin", **numbers)))
        found = scan({"model.onnx": data, "w.bin": bytes(8)})
        assert next(f.outcome for f in found.files) is Outcome.FAIL
    whole = model(node("Relu"), tensor(5, "w", [2], 1, external("w.bin", offset="0", length="8")))
    assert {f.outcome for f in scan({"model.onnx": whole, "w.bin": bytes(8)}).files} == {Outcome.PASS}


@pytest.mark.parametrize(
    ("name", "text", "outcome"),
    [
        (
            "m.onnxtxt",
            '<ir_version: 8> g (x) => (y) <float[2] w = ["location": "../../etc/passwd"]> { y = Add(x, w) }',
            Outcome.FAIL,
        ),
        ("m.onnxjson", '{"externalData": [{"key": "location", "value": "/etc/passwd"}]}', Outcome.FAIL),
        ("m.onnx.textproto", 'external_data { key: "location" value: "../up.bin" }', Outcome.FAIL),
        ("m.onnxtxt", "<ir_version: 8> g (x) => (y) { y = ai.onnx.contrib.PyOp(x) }", Outcome.FAIL),
        ("m.onnxtxt", "<ir_version: 8> g (x) => (y) { y = Relu(x) }", Outcome.UNKNOWN),
    ],
)
def test_models_in_text_never_pass(name: str, text: str, outcome: Outcome) -> None:
    assert judged(name, text.encode())[0] is outcome


def test_onnx_runtimes_own_format_is_named() -> None:
    table = struct.pack("<L4s", 16, b"ORTM") + bytes(8) + struct.pack("<l", 8) + bytes(40)
    found = examine("model.ort", table)
    assert (found.result.format, found.result.outcome) == ("ort", Outcome.UNKNOWN)
    assert judged("model.ort", b"\xff\xff\xff\x7fORTM" + bytes(40))[0] is Outcome.FAIL


# -- safetensors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 2**40) + b'{"a":{}}', struct.pack("<Q", 2**63) + b'{"a":{}}', framed(b'{"a":'), framed(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        safetensors({"w": ("U8", [4], 0, 4)}, b"abcd" + TEXT), safetensors({"w": ("U8", [4], 8, 12)}, bytes(12)),
        safetensors({"w": ("U8", [len(CALL)], 0, len(CALL))}, CALL), safetensors({"w": ("F32", [32], 0, 128)}, ELF),
        safetensors({"w": ("U8", [len(TAILS["gzip"])], 0, len(TAILS["gzip"]))}, TAILS["gzip"]),
        safetensors({"w": ("U8", [len(TAILS["zip"])], 0, len(TAILS["zip"]))}, TAILS["zip"]),
    ],
)  # fmt: skip
def test_safetensors_that_break_the_format_or_carry_something_fail(data: bytes) -> None:
    assert judged("model.safetensors", data)[0] is Outcome.FAIL


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_weights_of_any_kind_are_weights(data: st.DataObject) -> None:
    content = data.draw(st.binary(min_size=0, max_size=200))
    file = safetensors({"w": ("U8", [len(content)], 0, len(content))}, content)
    assert judged("model.safetensors", file)[0] is Outcome.PASS
