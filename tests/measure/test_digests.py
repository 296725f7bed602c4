"""The three digests against golden vectors, and against a second implementation written from the text alone.

The vectors in `tests/vectors/digests` are for other implementations too; their README says how to read them.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.errors import InputError
from weighbridge.core.manifest import Entry, Manifest, TensorEntry, is_card, tree_digest, weights_set

VECTORS = Path(__file__).parents[1] / "vectors" / "digests"
CASES = [
    pytest.param(kind, case, id=f"{kind}-{case['comment']}")
    for kind in ("files", "tensors")
    for case in json.loads((VECTORS / f"{kind}.json").read_text("utf-8"))["cases"]
]


def manifest_of(kind: str, case: Any) -> Manifest:
    """The manifest that a vector describes."""
    if kind == "tensors":
        tensors = [
            TensorEntry(t["name"], t["dtype"], tuple(t["shape"]), bytes.fromhex(t["blake3"]), t["file"])
            for t in case["tensors"]
        ]
        return Manifest(entries=(), tensors=tuple(tensors))
    entries = []
    for file in case["files"]:
        data = bytes.fromhex(file["content"])
        path = bytes.fromhex(file["path"]).decode("utf-8", "surrogateescape")
        entries.append(Entry(path, len(data), hashlib.sha256(data).digest(), blake3(data).digest()))
    return Manifest(entries=tuple(sorted(entries)))


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_golden_vectors(kind: str, case: Any) -> None:
    manifest = manifest_of(kind, case)
    if kind == "tensors":
        assert _text(manifest.tensors_digest()) == case["tensors_digest"]
        return
    assert _text(manifest.files_digest()) == case["files_digest"]
    assert _text(manifest.files_digest("blake3")) == case["files_digest_blake3"]
    assert _text(manifest.card_digest()) == case["card_digest"]


def _text(digest: object) -> str | None:
    return None if digest is None else str(digest)


# The same from the text of docs/formats/digests.md alone.


def root(leaves: list[bytes], domain: str, new: Callable[[bytes], Any]) -> bytes:
    """Section "Tree"."""
    return new(b"\x02" + record(domain.encode(), len(leaves).to_bytes(8, "big"), head(leaves, new))).digest()


def head(leaves: list[bytes], new: Callable[[bytes], Any]) -> bytes:
    """MTH of RFC 9162 section 2.1.1."""
    if len(leaves) == 1:
        return new(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return new(b"\x01" + head(leaves[:k], new) + head(leaves[k:], new)).digest()


def record(*fields: bytes) -> bytes:
    """Section "Record"."""
    out = b""
    for field in fields:
        out += len(field).to_bytes(8, "big") + field
    return out


@settings(max_examples=80, deadline=None)
@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40))
def test_the_tree_is_that_of_rfc_9162(leaves: list[bytes]) -> None:
    assert tree_digest(leaves, "x") == root(leaves, "x", hashlib.sha256)
    assert tree_digest(leaves, "x", blake3) == root(leaves, "x", blake3)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=3).filter(lambda s: "\0" not in s), st.binary(max_size=3), min_size=1
    )
)
def test_files_from_the_text(contents: dict[str, bytes]) -> None:
    try:
        names = {name.encode("utf-8", "surrogateescape"): data for name, data in contents.items()}
    except UnicodeEncodeError:
        return
    leaves = [
        record(name, len(data).to_bytes(8, "big"), hashlib.sha256(data).digest())
        for name, data in sorted(names.items())
    ]
    entries = sorted(Entry(name, len(data), hashlib.sha256(data).digest()) for name, data in contents.items())
    digest = Manifest(entries=tuple(entries)).files_digest()
    assert digest is not None
    assert digest.value == root(leaves, "weighbridge.files/v1", hashlib.sha256)


def test_tensors_from_the_text() -> None:
    content = b"\x07" * 32
    manifest = Manifest(
        entries=(),
        tensors=(
            TensorEntry("w", "F32", (2, 3), content, "unet/model-00001-of-00002.safetensors"),
            TensorEntry("é", "BF16", (), content, "model.gguf"),
        ),
    )
    leaves = [
        record(b"", b"", b"\xc3\xa9", b"BF16", b"", content),
        record(b"unet", b"", b"w", b"F32", b"2,3", content),
    ]
    digest = manifest.tensors_digest()
    assert digest is not None
    assert (digest.algorithm, digest.value) == ("blake3", root(leaves, "weighbridge.tensors/v1", blake3))


# Injectivity where it is easily lost.


def digest_of(*tensors: tuple[str, str]) -> str | None:
    """(name, path) pairs with equal contents."""
    entries = tuple(TensorEntry(name, "F32", (1,), bytes(32), path) for name, path in tensors)
    return _text(Manifest(entries=(), tensors=entries).tensors_digest())


def test_names_that_look_alike_are_not_the_same() -> None:
    """A lone surrogate from a JSON escape must not pass for the byte that it could stand for."""
    names = ["é", "\udcc3\udca9", "e\u0301", "\ud83d\ude00", "\U0001f600", "Ã©"]
    assert len({digest_of((name, "f")) for name in names}) == len(names)


def test_folder_and_name_do_not_run_into_each_other() -> None:
    assert digest_of(("b/c", "a/f")) != digest_of(("c", "a/b/f"))
    assert digest_of(("a/w", "f")) != digest_of(("w", "a/f"))


def test_order_and_file_names_do_not_count() -> None:
    assert digest_of(("a", "x"), ("b", "y")) == digest_of(("b", "z"), ("a", "z"))
    assert digest_of(("a", "x"), ("a", "y")) == digest_of(("a", "x"))


def test_paths_that_no_system_has_are_refused() -> None:
    with pytest.raises(InputError, match="bad-manifest"):
        Manifest(entries=(Entry("\ud800", 0),))
    with pytest.raises(InputError, match="bad-manifest"):
        Manifest(entries=(Entry("b", 0), Entry("a", 0)))
    with pytest.raises(InputError, match="bad-manifest"):
        Manifest(entries=(Entry("a", 0), Entry("a", 0)))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("model.safetensors", "model.safetensors"),
        ("a/model-00001-of-00012.safetensors", "model.safetensors"),
        ("model.fp16-00001-of-00002.safetensors", "model.fp16.safetensors"),
        ("model-1-of-2", "model"),
        ("model-00001-of-2b.gguf", "model-00001-of-2b.gguf"),
    ],
)
def test_weights_sets(path: str, found: str) -> None:
    assert weights_set(path) == found


@pytest.mark.parametrize(
    "path", ["README.md", "readme", "LICENSE.txt", "Model_Card.md", "NOTICE", "CITATION.cff"]
)
def test_documentation(path: str) -> None:
    assert is_card(path)


@pytest.mark.parametrize("path", ["sub/README.md", "READMES.md", "config.json", "licen\u017fe", "a.README"])
def test_not_documentation(path: str) -> None:
    assert not is_card(path)
