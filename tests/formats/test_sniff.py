"""What a file could be, by content; a missing candidate is a way past the scanner."""

import collections
import io
import pickle
import pickletools
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.source import MemorySource
from weighbridge.formats import FORMATS
from weighbridge.formats.sniff import candidates, looks_like_text, starts_like_pickle


def sniff(data: bytes, name: str = "file") -> tuple[str, ...]:
    return candidates(MemorySource(data), name)


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "b")
    return stream.getvalue()


def tarred(kind: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=kind) as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO(b""))
    return stream.getvalue()


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("weighbridge-sample",))


OBJECTS = [
    {}, [], (), 1, -1, 2**80, 1.5, "x", "é" * 9, b"x" * 300, None, True, {1}, frozenset({1}), [[[]]], range(3),
    collections.OrderedDict(a=1), collections.Counter("aab"), print, int, Evil(), [Evil()], {"a": Evil()}, "x" * 9000,
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: repr(value)[:20])
def test_every_pickle_is_a_candidate_under_every_name(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    for name in ("model.pkl", "model.safetensors", "README.md", "config.json", "x"):
        assert "pickle" in sniff(data, name)
        assert "pickle" in sniff(pickletools.optimize(data), name)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
        max_leaves=8,
    ),
    st.integers(0, 5),
)
def test_whatever_pickle_writes_is_a_candidate(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    assert starts_like_pickle(data[:4096], len(data))


DISGUISED = {
    "text before a call": b"Very nice model\n0cos\nsystem\n(S'echo'\ntR.",
    "numbers with a tail": b"I12\0 of them\n0cos\nsystem\n(S'echo'\ntR.",
    "blank number": b"I 5\n0cos\nsystem\n(S'echo'\ntR.",
    "hexadecimal": b"I0x10\n0cos\nsystem\n(S'echo'\ntR.",
    "infinity": b"Finf\n0cos\nsystem\n(S'echo'\ntR.",
    "marks": b"((((cos\nsystem\n(S'echo'\ntR.",
    "pop mark": b"(1cos\nsystem\n(S'echo'\ntR.",
    "inst": b"(S'echo'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'echo'\no.",
    "carriage returns": b"cos\r\nsystem\r\n(S'echo'\ntR.",
    "memo": b"V\np0\n0cos\nsystem\n(S'echo'\ntR.",
    "long walk": b"N0" * 200 + b"cos\nsystem\n(S'echo'\ntR.",
    "dotted name": b"\x80\x04cos\n" + b"a." * 1500 + b"system\n(S'echo'\ntR.",
    "far string": b"\x80\x04B\x00\x20\x00\x00" + b"x" * 8192 + b"0cos\nsystem\n(S'echo'\ntR.",
}


@pytest.mark.parametrize("name", DISGUISED)
def test_tricks_do_not_hide_a_pickle(name: str) -> None:
    assert "pickle" in sniff(DISGUISED[name], "README.md")


TEXTS = [
    "This is a model card.\n", "---\nlicense: mit\n---\n# Title\n", "#version: 0.2\nĠ t\n", "I am\n",
    "cat\ndog\nbird\n", "const_p1,const_p2\n.7376958,.2623042\n.5,.5\n", "config for x\nfoo\n", "(hello) world\n", "No. 5\n", "License: MIT\n", "0.5,1\n", "Usage: x\n" * 9,
    "PyTorch\n", "KL\nJS\n", "Faster\n", "Model by X\n" * 900, "Text\n" * 2000, "Xenon\n" * 2000, "GPT-2\n" * 3, "S'il\n",
    "JSON\n", "Bert\n" * 999, "Very\nlong\n", "import torch\n", "class A:\n  pass\n", "torch>=2\n", "*.bin filter=lfs\n",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:12])
def test_text_is_only_text(text: str) -> None:
    assert sniff(text.encode(), "README.md") == ("text",)


CONTENT = {
    "zip": zipped(),
    "tar": tarred(tarfile.USTAR_FORMAT),
    "npy": b"\x93NUMPY\x01\x00v\x00{'descr'",
    "gguf": b"GGUF\x03\0\0\0",
    "compressed": b"\x1f\x8b\x08\0",
    "executable": b"\x7fELF\x02\x01\x01",
    "image": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "safetensors": b"\x08\0\0\0\0\0\0\0{}      ",
    "json": b' {"a": 1}',
    "empty": b"",
    "sentencepiece": b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02",
    "lfs-pointer": b"version https://git-lfs.github.com/spec/v1\n",
}


@pytest.mark.parametrize("kind", CONTENT)
def test_content_counts_under_any_name(kind: str) -> None:
    for name in ("x", "model.safetensors", "notes.txt", "weights.bin"):
        assert kind in sniff(CONTENT[kind], name)


def test_tar_without_magic_is_known_by_its_checksum() -> None:
    data = bytearray(tarred(tarfile.USTAR_FORMAT))
    data[257:265] = bytes(8)
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + sum(data[156:512]) + 256)
    assert "tar" in sniff(bytes(data), "x.pt")


def test_a_polyglot_has_all_its_candidates() -> None:
    both = pickle.dumps({"a": 1}) + zipped()
    assert {"pickle", "zip"} <= set(sniff(both, "model.bin"))
    assert {"image", "zip"} <= set(sniff(CONTENT["image"] + zipped(), "a.png"))


def test_raw_numbers_are_nothing_known() -> None:
    assert sniff(b"\x00\x01\x02\x03" * 2000, "weights.data") == ()


def test_every_candidate_has_a_reader() -> None:
    seen = {kind for data in CONTENT.values() for kind in sniff(data)}
    names = ("x.py", "x.ipynb", "x.jinja", "x.json", "x.onnx", "x.sh", "x.pkl", "x.svg")
    seen |= {kind for name in names for kind in sniff(b"x", name)}
    assert seen <= set(FORMATS)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"the caf\xe9 over there " * 20, True),
        ("café".encode(), True),
        (b"\xff\xfea\0", True),
        (b"a\0b", False),
        (b"\x80\x81\x90" * 9, False),
    ],
)
def test_text_or_not(data: bytes, text: bool) -> None:
    assert looks_like_text(data) is text


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=600), st.sampled_from(["x", "x.py", "x.json", "a/b.tar.gz", ".hidden", "x.", "é.svg"])
)
def test_any_bytes_under_any_name_are_sniffed(data: bytes, name: str) -> None:
    assert set(sniff(data, name)) <= set(FORMATS)
