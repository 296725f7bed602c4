"""The tensor-set digest: the same for the same weights, whatever they are packed in; and none where one is unknown."""

import struct
import zipfile
from math import prod
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.measure.models import gguf, in_memory, npy, npz, onnx, row_major, safetensors, sharded, torch_zip
from weighbridge.core.errors import LimitError
from weighbridge.core.manifest import TensorEntry
from weighbridge.core.source import MemorySource
from weighbridge.formats.reading import TensorRef
from weighbridge.measure import Plan, measure
from weighbridge.measure.tensors import REGION, content, refused
from weighbridge.scan.engine import Scanner
from weighbridge.store import open_artifact

TENSORS = Plan(tensors=True)


def floats(*shape: int, start: int = 0) -> tuple[str, tuple[int, ...], bytes]:
    """An F32 tensor that counts up."""
    return "F32", shape, b"".join(struct.pack("<f", start + i) for i in range(prod(shape)))


MODEL = {
    "wte.weight": floats(7, 4),
    "h.0.attn.weight": floats(4, 4, start=100),
    "h.0.attn.bias": floats(4, start=200),
    "h.1.attn.weight": floats(4, 4, start=300),
    "scale": floats(start=9),
    "nothing": floats(0, 4),
}


def digest_of(contents: dict[str, bytes]) -> str:
    """The tensor-set digest of files in memory; says why where there is none."""
    artifact, _ = in_memory(contents)
    measurement = measure(artifact, TENSORS)
    assert measurement.unlisted == ()
    return str(measurement.manifest.tensors_digest())


def test_one_file_shards_and_every_container_agree() -> None:
    single = digest_of({"model.safetensors": safetensors(MODEL)})
    assert single.startswith("blake3:")
    assert (
        digest_of({"model.safetensors": safetensors(dict(reversed(MODEL.items())), {"format": "pt"})})
        == single
    )
    assert digest_of(sharded(MODEL, 1)) == single
    assert digest_of(sharded(MODEL, 3)) == single
    assert digest_of({"pytorch_model.bin": torch_zip(MODEL)}) == single
    assert digest_of({"pytorch_model.bin": torch_zip(MODEL, compression=zipfile.ZIP_DEFLATED)}) == single
    assert digest_of({"README.md": b"# hello", "model.safetensors": safetensors(MODEL)}) == single


def test_other_containers_agree_on_what_they_can_hold() -> None:
    model = {name: tensor for name, tensor in MODEL.items() if name not in ("scale", "nothing")}
    single = digest_of({"model.safetensors": safetensors(model)})
    assert digest_of({"model.gguf": gguf(model)}) == single
    assert digest_of({"model.onnx": onnx(model)[0]}) == single
    arrays = {name: npy("<f4", shape, data) for name, (_, shape, data) in model.items()}
    assert digest_of({"weights.npz": npz(arrays)}) == single
    assert digest_of({"weights.npz": npz(arrays, zipfile.ZIP_STORED)}) == single


def test_order_in_memory_does_not_count() -> None:
    """Transposed, big-endian and column-major storage hold the same tensor."""
    _, shape, data = floats(3, 5)
    columns = b"".join(data[(row * 5 + column) * 4 :][:4] for column in range(5) for row in range(3))
    swapped = b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))
    single = digest_of({"model.safetensors": safetensors({"w": ("F32", shape, data)})})
    model = {"w": ("F32", shape, data)}
    assert digest_of({"model.pt": torch_zip(model, strides={"w": (1, 3)}, storages={"w": columns})}) == single
    for array in (
        npy("<f4", shape, columns, fortran=True),
        npy(">f4", shape, swapped),
        npy("<f4", shape, data),
    ):
        assert digest_of({"a.npz": npz({"w": array})}) == single


def test_external_data_is_hashed_in_its_own_pass() -> None:
    model = {"a": floats(6), "b": floats(2, 3, start=50)}
    header, raw = onnx(model, external="weights/model.data")
    single = digest_of({"model.onnx": onnx(model)[0]})
    assert digest_of({"model.onnx": header, "weights/model.data": raw}) == single
    artifact, files = in_memory({"model.onnx": header, "weights/model.data": raw})
    assert measure(artifact, TENSORS).manifest.tensors_digest() is not None
    assert files.bytes_read("weights/model.data") == len(raw)


@pytest.mark.parametrize("there", [{}, {"model.data": b"short"}, {"other.data": b"\x00" * 100}])
def test_external_data_that_is_not_there(there: dict[str, bytes]) -> None:
    header, _ = onnx({"a": floats(6)}, external="model.data")
    artifact, _ = in_memory({"model.onnx": header, **there})
    measurement = measure(artifact, TENSORS)
    assert measurement.manifest.tensors is None
    assert [path for path, _ in measurement.unlisted] == ["model.onnx"]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("model.safetensors", b"\xff" * 40),
        ("model.safetensors", b""),
        ("model.safetensors", safetensors(MODEL)[:-1]),
        ("model.gguf", gguf({"w": floats(8)})[:-40]),
        ("model.h5", b"\x89HDF\r\n\x1a\n"),
        ("model.tflite", b"\x1c\x00\x00\x00TFL3"),
        (
            "pytorch_model.bin",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n",
        ),
    ],
)
@pytest.mark.parametrize("scanned", [False, True])
def test_weights_that_cannot_be_listed_make_the_tensors_unknown(
    path: str, data: bytes, scanned: bool
) -> None:
    artifact, _ = in_memory({path: data, "other.safetensors": safetensors(MODEL)})
    measurement = measure(artifact, TENSORS, examine=Scanner().examine if scanned else None)
    assert measurement.manifest.tensors is None
    assert [path for path, _ in measurement.unlisted] == [path]
    assert measurement.manifest.tensors_digest() is None
    assert measurement.manifest.files_digest() is not None


def test_no_tensors_are_not_unknown_tensors() -> None:
    artifact, _ = in_memory({"config.json": b"{}", "README.md": b"hello"})
    assert measure(artifact, TENSORS).manifest.tensors == ()
    assert measure(artifact, Plan()).manifest.tensors is None


def test_the_scanner_and_the_readers_alone_agree() -> None:
    contents = {**sharded(MODEL, 2), "extra/pytorch_model.bin": torch_zip(MODEL), "README.md": b"# hello"}
    artifact, _ = in_memory(contents)
    alone = measure(artifact, TENSORS).manifest
    scanned = measure(artifact, TENSORS, examine=Scanner().examine)
    assert scanned.manifest == alone
    assert len(scanned.examined) == len(contents)
    assert len(alone.tensors or ()) == 2 * len(MODEL)


def test_equal_copies_in_one_folder_count_once() -> None:
    both = {"model.safetensors": safetensors(MODEL), "pytorch_model.bin": torch_zip(MODEL)}
    assert digest_of(both) == digest_of({"model.safetensors": safetensors(MODEL)})


def test_sets_that_disagree_keep_their_own() -> None:
    """Two adapters of one folder: exchanging their contents is another model."""
    one, two = safetensors({"w": floats(4)}), safetensors({"w": floats(4, start=1)})
    straight = digest_of({"a.safetensors": one, "b.safetensors": two})
    crossed = digest_of({"a.safetensors": two, "b.safetensors": one})
    assert straight != crossed
    assert digest_of({"unet/m.safetensors": one, "vae/m.safetensors": two}) not in (straight, crossed)


def test_shards_that_disagree_have_no_digest() -> None:
    contents = {
        "model-00001-of-00002.safetensors": safetensors({"w": floats(4)}),
        "model-00002-of-00002.safetensors": safetensors({"w": floats(4, start=1)}),
    }
    artifact, _ = in_memory(contents)
    manifest = measure(artifact, TENSORS).manifest
    assert len(manifest.tensors or ()) == 2
    assert manifest.tensors_digest() is None


@pytest.mark.parametrize(
    "other",
    [
        {"v": floats(4, 4)},
        {"w": floats(2, 8)},
        {"w": floats(16)},
        {"w": floats(4, 4, start=1)},
        {"w": ("I32", (4, 4), floats(4, 4)[2])},
        {"w": floats(4, 4), "v": floats(0)},
    ],
)
def test_every_part_of_a_tensor_counts(other: dict[str, tuple[str, tuple[int, ...], bytes]]) -> None:
    base = digest_of({"m.safetensors": safetensors({"w": floats(4, 4)})})
    assert digest_of({"m.safetensors": safetensors(other)}) != base
    assert digest_of({"sub/m.safetensors": safetensors({"w": floats(4, 4)})}) != base


def test_tied_weights_are_hashed_once_and_listed_under_both_names() -> None:
    text = bytes(range(64))
    refs = [
        TensorRef(name=name, dtype="U8", shape=shape, spans=((0, 64),))
        for name, shape in (("a", (64,)), ("b", (8, 8)))
    ]
    found = measured_with(text, refs)
    assert [(t.name, t.digest) for t in found] == [(n, blake3(text).digest()) for n in ("a", "b")]


class Answer:
    """What an examiner says of a file's tensors, and nothing else."""

    class result:  # noqa: N801 - stands for an attribute
        format = "test"

    unread = ()
    tensors_unlisted = ""

    def __init__(self, tensors: list[TensorRef]) -> None:
        self.tensors = tuple(tensors)


def measured_with(data: bytes, refs: list[TensorRef], *, jobs: int = 1) -> tuple[TensorEntry, ...]:
    """The tensors of one file of which an examiner says where they lie."""
    artifact, _ = in_memory({"file": data})
    measurement = measure(artifact, TENSORS, examine=lambda *_: Answer(refs), jobs=jobs)
    assert measurement.unlisted == ()
    return measurement.manifest.tensors or ()


@pytest.mark.parametrize("spans", [((5, 10),), ((5, 10), (20, 3)), ((20, 3), (5, 10)), ((5, 0), (7, 7)), ()])
def test_spans_make_the_content_in_their_order(spans: tuple[tuple[int, int], ...]) -> None:
    data = bytes(range(64))
    (found,) = measured_with(data, [TensorRef(name="w", dtype="U8", shape=(1,), spans=spans)])
    assert found.digest == blake3(b"".join(data[o : o + n] for o, n in spans)).digest()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_strides_give_the_items_in_row_major_order(draw: st.DataObject) -> None:
    """Law: the content is what indexing item by item gives."""
    itemsize = draw.draw(st.sampled_from([1, 2, 4, 8, 16, 3]))
    shape = tuple(draw.draw(st.lists(st.integers(0, 4), max_size=4)))
    strides = tuple(draw.draw(st.integers(0, 6)) for _ in shape)
    last = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) if prod(shape) else 0
    storage = draw.draw(st.binary(min_size=(last + 1) * itemsize, max_size=(last + 1) * itemsize))
    ref = TensorRef(
        name="w", dtype="X", shape=shape, spans=((0, len(storage)),), itemsize=itemsize, strides=strides
    )
    assert refused(ref, len(storage)) == ""
    got = b"".join(content(ref, MemorySource(storage)))
    assert got == naive(shape, strides, itemsize, storage)


def naive(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int, storage: bytes) -> bytes:
    """The slow truth."""
    out = b""
    places = row_major(shape)
    for item in range(prod(shape)):
        at = sum((item // place % n) * s for place, n, s in zip(places, shape, strides, strict=True))
        out += storage[at * itemsize : (at + 1) * itemsize]
    return out


@pytest.mark.parametrize(
    ("dtype", "itemsize", "unit"), [("F32", 4, 4), ("I64", 8, 8), ("C64", 8, 4), ("C128", 16, 8)]
)
def test_big_endian_items_are_turned(dtype: str, itemsize: int, unit: int) -> None:
    data = bytes(range(48))
    ref = TensorRef(
        name="w", dtype=dtype, shape=(48 // itemsize,), spans=((0, 7), (7, 41)), itemsize=itemsize, swap=True
    )
    assert b"".join(content(ref, MemorySource(data))) == b"".join(
        data[i : i + unit][::-1] for i in range(0, 48, unit)
    )


@pytest.mark.parametrize(
    "ref",
    [
        TensorRef(name="w", dtype="U8", shape=(4,), spans=((0, 65),)),
        TensorRef(name="w", dtype="U8", shape=(4,), spans=((-1, 4),)),
        TensorRef(name="w", dtype="U8", shape=(-4,), spans=((0, 4),)),
        TensorRef(name="w", dtype="U8", shape=(2, 2), spans=((0, 4),), strides=(1,)),
        TensorRef(name="w", dtype="U8", shape=(2, 2), spans=((0, 4),), strides=(3, 1)),
        TensorRef(name="w", dtype="U8", shape=(2, 2), spans=((0, 4),), strides=(-2, 1)),
    ],
)
def test_places_that_cannot_be_make_the_tensors_unknown(ref: TensorRef) -> None:
    artifact, _ = in_memory({"file": bytes(64)})
    measurement = measure(artifact, TENSORS, examine=lambda *_: Answer([ref]))
    assert measurement.manifest.tensors is None
    assert measurement.unlisted[0][0] == "file"
    assert measurement.manifest.files_digest() is not None


def test_tensors_that_overlap_without_end_are_refused_before_any_work() -> None:
    size = 2 * 1024**2
    refs = [
        TensorRef(name=str(i), dtype="U8", shape=(size - i,), spans=((i, size - i),)) for i in range(1000)
    ]
    artifact, _ = in_memory({"file": bytes(size)})
    measurement = measure(artifact, TENSORS, examine=lambda *_: Answer(refs))
    assert measurement.unlisted == (("file", "its tensors overlap far too often"),)


def test_the_same_tensor_under_a_thousand_names_is_hashed_once() -> None:
    """Without that, a small file could keep us busy for days."""
    size = 8 * 1024**2
    refs = [
        TensorRef(
            name=f"{kind}{i}",
            dtype="U8",
            shape=(2, size // 2),
            spans=((0, size),),
            strides=strides,
            itemsize=1,
        )
        for i in range(1000)
        for kind, strides in (("turned", (1, 2)), ("straight", None))
    ]
    found = measured_with(bytes(range(256)) * (size // 256), refs)
    assert len(found) == 2000
    assert len({tensor.digest for tensor in found}) == 2


def test_external_tensors_that_overlap_without_end_are_refused() -> None:
    size = 2 * 1024**2
    refs = [
        TensorRef(name=str(i), dtype="U8", shape=(size - i,), spans=((i, size - i),), external="raw")
        for i in range(1000)
    ]
    artifact, _ = in_memory({"m.onnx": b"", "raw": bytes(size)})
    examine = lambda member, _: Answer(refs if member.path == "m.onnx" else [])  # noqa: E731
    assert measure(artifact, TENSORS, examine=examine).unlisted == (
        ("m.onnx", "its tensors overlap far too often"),
    )


def test_an_expanded_tensor_of_absurd_size_is_refused() -> None:
    ref = TensorRef(name="w", dtype="F32", shape=(2**40, 2**20), spans=((0, 4),), itemsize=4, strides=(0, 0))
    artifact, _ = in_memory({"file": bytes(64)})
    assert measure(artifact, TENSORS, examine=lambda *_: Answer([ref])).manifest.tensors is None


def test_too_much_out_of_order_is_a_limit() -> None:
    half = REGION // 2 + 1
    member = MemorySource(b"")  # unpacked from something, so that it cannot be read out of order
    spans = ((0, 2 * half),)
    ref = TensorRef(name="w", dtype="U8", shape=(2, half), spans=spans, strides=(1, 2), source=member)
    with pytest.raises(LimitError) as caught:
        next(content(ref, member))
    assert caught.value.code == "limit-memory"


def test_big_file_in_one_pass(tmp_path: Path) -> None:
    """A file above every threshold, several chunks long, its tensors across their borders, by one thread and by two."""
    size = 40 * 1024**2
    data = bytes(range(251)) * (size // 251)
    third = len(data) // 3
    model = {"a": data[:third], "b": data[third : third + 1], "c": data[third + 1 :]}
    tensors = {name: ("U8", (len(part),), part) for name, part in model.items()}
    (tmp_path / "model.safetensors").write_bytes(safetensors(tensors))
    (tmp_path / "small.safetensors").write_bytes(safetensors({"d": floats(3)}))
    artifact = open_artifact(tmp_path)
    one, two = (measure(artifact, TENSORS, jobs=jobs).manifest for jobs in (1, 2))
    assert one == two
    found = {tensor.name: tensor.digest for tensor in one.tensors or ()}
    assert found == {name: blake3(part).digest() for name, part in model.items()} | {
        "d": blake3(floats(3)[2]).digest()
    }
