"""PyTorch's layouts against what `torch.load` gave for the same files (`data/make.py`), and against forged ones."""

import hashlib
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.formats.zipmaker import Item, make
from weighbridge.core.budget import Budget
from weighbridge.core.source import MemorySource
from weighbridge.formats import Reading, read
from weighbridge.measure.tensors import content

DATA = Path(__file__).parent / "data"
EXPECTED = json.loads((DATA / "tensors.json").read_text())


def reading(data: bytes, candidate: str = "zip") -> Reading:
    return read(candidate, MemorySource(data), Budget(), "model.pt")


def of_file(name: str) -> Reading:
    return reading((DATA / name).read_bytes(), "pickle" if "legacy" in name else "zip")


def part_names(found: Reading) -> list[tuple[str, str]]:
    return [(part.name, part.kind) for part in found.parts]


def codes(found: Reading) -> list[str]:
    return [anomaly.code for anomaly in found.anomalies]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_tensor_has_the_bytes_that_torch_load_gives(name: str) -> None:
    found = of_file(name)
    source = MemorySource((DATA / name).read_bytes())
    assert found.tensors is not None, found.tensors_unlisted
    ours = {
        t.name: hashlib.sha256(b"".join(content(t, t.source or source))).hexdigest() for t in found.tensors
    }
    assert ours == EXPECTED[name]
    assert (found.anomalies, found.gaps) == ((), ())


def test_formats_and_parts() -> None:
    assert [of_file(name).format for name in EXPECTED] == [
        "pytorch-zip", "pytorch-legacy", "pytorch-zip", "torchscript",
    ]  # fmt: skip
    assert part_names(of_file("torch-zip.pt")) == [("torch-zip/data.pkl", "pickle")]
    assert part_names(of_file("torch-legacy.pt")) == [("object", "pickle")]
    assert part_names(of_file("torchscript.pt")) == []


def rezipped(name: str, changes: dict[str, bytes | None], extra: dict[str, bytes] | None = None) -> bytes:
    """The same archive with records replaced, left out, or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(DATA / name) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.namelist():
            data = changes.get(member.partition("/")[2], old.read(member))
            if data is not None:
                new.writestr(member, data)
        for member, data in (extra or {}).items():
            new.writestr(member, data)
    return buffer.getvalue()


def test_other_records_are_parts_to_be_sniffed() -> None:
    data = rezipped(
        "torch-zip.pt", {}, {"torch-zip/extra.bin": b"1", "torch-zip/more.pkl": b"N.", "other/x": b"2"}
    )
    assert part_names(reading(data))[1:] == [
        ("torch-zip/extra.bin", ""),
        ("torch-zip/more.pkl", "pickle"),
        ("other/x", ""),
    ]


def test_a_storage_that_nothing_refers_to_is_a_part() -> None:
    data = rezipped("torch-zip.pt", {}, {"torch-zip/data/99": b"\x80\x04N."})
    assert ("torch-zip/data/99", "") in part_names(reading(data))


def test_a_version_record_that_is_no_version_is_a_part() -> None:
    data = rezipped("torch-zip.pt", {"version": b"\x80\x04cos\nsystem\n."})
    assert ("torch-zip/version", "") in part_names(reading(data))


def test_a_pickle_in_another_case_is_a_second_pickle() -> None:
    """PyTorch looks records up without regard to case and takes the first."""
    data = rezipped("torch-zip.pt", {}, {"torch-zip/DATA.PKL": b"N."})
    found = reading(data)
    assert [part for part in part_names(found) if part[1]] == [
        ("torch-zip/data.pkl", "pickle"), ("torch-zip/DATA.PKL", "pickle"),
    ]  # fmt: skip
    assert found.tensors is None
    assert found.tensors_unlisted == "2 records may be data.pkl"


def test_only_another_case_is_still_pytorch() -> None:
    assert reading(make(Item(name="x/DATA.PKL", data=b"N."))).format == "pytorch-zip"


@pytest.mark.parametrize(
    ("name", "kind"), [("constants.pkl", "torchscript"), ("CONSTANTS.PKL", "pytorch-zip")]
)
def test_constants_in_another_case_make_no_torchscript(name: str, kind: str) -> None:
    """`torch.load` looks for `constants.pkl` as it is written; without it Python's unpickler takes `data.pkl`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("m/data.pkl", b"\x80\x02c__torch__.sample\nrun\n)R.")
        file.writestr(f"m/{name}", b"\x80\x02).")
    found = reading(buffer.getvalue())
    assert found.format == kind
    assert (("m/data.pkl", "pickle") in part_names(found)) == (kind == "pytorch-zip")


def test_big_endian_storages_are_swapped() -> None:
    found = reading(rezipped("torch-zip.pt", {"byteorder": b"big"}))
    assert {t.dtype for t in found.tensors or () if not t.swap} == {"BOOL"}


def storage(numel: int, key: str = "0", kind: str = "FloatStorage") -> bytes:
    """BINPERSID of one storage, in protocol 2."""
    return (
        b"(X\x07\0\0\0storagectorch\n" + kind.encode() + b"\nX" + struct.pack("<L", len(key)) + key.encode()
        + b"X\x03\0\0\0cpuJ" + struct.pack("<i", numel) + b"tQ"
    )  # fmt: skip


def tensor(numel: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """A state dict with one tensor `w`."""
    ints = [b"(" + b"".join(b"J" + struct.pack("<i", n) for n in row) + b"t" for row in (shape, strides)]
    return (
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(" + storage(numel) + b"J" + struct.pack("<i", offset)
        + ints[0] + ints[1] + b"\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


def one_tensor(
    data: bytes, numel: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Reading:
    return reading(
        make(
            Item(name="m/data.pkl", data=tensor(numel, offset, shape, strides)),
            Item(name="m/version", data=b"3\n"),
            Item(name="m/data/0", data=data),
        )
    )


def test_a_plain_tensor() -> None:
    found = one_tensor(bytes(24), 6, 0, (2, 3), (3, 1))
    assert codes(found) == []
    assert [(t.name, t.dtype, t.shape, t.strides) for t in found.tensors or ()] == [
        ("w", "F32", (2, 3), None)
    ]


OUTSIDE = {
    "more items than bytes": (bytes(24), 1000, 0, (2, 3), (3, 1)),
    "offset": (bytes(24), 6, 1, (2, 3), (3, 1)),
    "shape": (bytes(24), 6, 0, (3, 3), (3, 1)),
    "stride": (bytes(24), 6, 0, (2, 3), (4, 1)),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_cve_2026_24747_a_tensor_outside_of_its_storage(case: str) -> None:
    found = one_tensor(*OUTSIDE[case])
    assert codes(found) == ["tensor-out-of-bounds"]


@pytest.mark.parametrize(
    ("shape", "strides"), [((-1, 3), (3, 1)), ((2, 3), (-3, 1)), ((2, 3), (3,)), ((2,) * 70, (1,) * 70)]
)
def test_shapes_that_are_none_are_not_listed(shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    found = one_tensor(bytes(24), 6, 0, shape, strides)
    assert found.tensors is None
    assert found.tensors_unlisted.startswith('"w" has ')


def test_spare_bytes_of_a_storage_are_a_part() -> None:
    found = one_tensor(bytes(24) + b"\x80\x04N.more", 6, 0, (2, 3), (3, 1))
    assert codes(found) == ["storage-spare-bytes"]
    assert [p.source.read(0, 4) for p in found.parts if p.name == "storage 0 from byte 24"] == [b"\x80\x04N."]


def test_a_missing_storage_is_not_listed() -> None:
    found = reading(make(Item(name="m/data.pkl", data=tensor(6, 0, (2, 3), (3, 1)))))
    assert found.tensors_unlisted == 'storage "0" is missing'


def test_a_program_in_a_storage_is_a_part() -> None:
    program = b"\x7fELF\x02\x01\x01" + bytes(57)
    found = one_tensor(program, 16, 0, (16,), (1,))
    assert ("tensor storage 0", "executable") in part_names(found)


def test_a_container_that_holds_itself_comes_to_an_end() -> None:
    data = make(Item(name="m/data.pkl", data=b"\x80\x02]q\x00h\x00a."))
    assert reading(data).tensors == ()


# -- legacy --------------------------------------------------------------------------------------------------------

CALL = b"cos\nsystem\nX\x17\0\0\0echo weighbridge-sample\x85R"


def legacy_with(number: int, program: bytes) -> bytes:
    """The legacy file with one of its five pickles replaced."""
    data = (DATA / "torch-legacy.pt").read_bytes()
    pieces, rest = list(_pickles(data))
    pieces[number] = program
    return b"".join(pieces) + rest


def _pickles(data: bytes) -> Iterator[object]:
    stream, pieces = io.BytesIO(data), []
    for _ in range(5):
        start = stream.tell()
        SafeUnpickler(stream).load()
        pieces.append(data[start : stream.tell()])
    yield pieces
    yield data[stream.tell() :]


class SafeUnpickler(pickle.Unpickler):
    """Gives nothing for every name and storage."""

    def find_class(self, module: str, name: str) -> object:
        return lambda *args: Ignored()

    def persistent_load(self, pid: object) -> object:
        return None


class Ignored(dict):  # type: ignore[type-arg]
    def __setstate__(self, state: object) -> None:
        pass


@pytest.mark.parametrize("number", range(5))
def test_every_one_of_the_five_pickles_is_judged(number: int) -> None:
    """A call in any of them is in a part, whatever value the pickle then returns."""
    original = legacy_pieces()[number]
    found = reading(legacy_with(number, b"\x80\x02" + CALL + b"0" + original[2:]), "pickle")
    assert any(CALL in part.source.read(0, 4096) for part in found.parts if part.kind == "pickle")


def legacy_pieces() -> list[bytes]:
    pieces, _ = _pickles((DATA / "torch-legacy.pt").read_bytes())
    return pieces  # type: ignore[return-value]


def test_bytes_behind_the_storages_are_a_part() -> None:
    data = (DATA / "torch-legacy.pt").read_bytes()
    found = reading(data + b"\x80\x04N.", "pickle")
    assert codes(found) == ["pytorch-data-after"]
    assert found.parts[-1].source.read(0, 4) == b"\x80\x04N."


@pytest.mark.parametrize("cut", [1, 20, 200, 700, 1200, 1490])
def test_a_cut_legacy_file_is_never_whole(cut: int) -> None:
    data = (DATA / "torch-legacy.pt").read_bytes()[:-cut]
    found = reading(data, "pickle")
    assert found.gaps
    assert found.tensors is None


# -- tar -----------------------------------------------------------------------------------------------------------


def torch_tar(pickle_data: bytes = b"\x80\x02}.", tail: bytes = b"") -> bytes:
    count, none = pickle.dumps(1, 2), pickle.dumps([], 2)
    described = b"\x80\x02K\x05X\x03\0\0\0cpuctorch\nFloatStorage\n\x87."
    storages = count + described + struct.pack("<q", 3) + bytes(12) + none + tail
    tensors = count + b"\x80\x02K\x06K\x05ctorch\nFloatTensor\n\x87." + struct.pack("<i4xqqq", 1, 3, 1, 0)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in (("storages", storages), ("tensors", tensors), ("pickle", pickle_data)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def test_every_pickle_of_the_tar_layout_is_a_part() -> None:
    found = reading(torch_tar(), "tar")
    assert found.format == "pytorch-tar"
    assert found.gaps == ()
    assert part_names(found) == [
        ("storages from byte 5", "pickle"),
        ("tensors from byte 5", "pickle"),
        ("pickle", "pickle"),
    ]


def test_bytes_behind_the_storages_of_the_tar_layout_are_a_gap() -> None:
    found = reading(torch_tar(tail=CALL), "tar")
    assert [gap.code for gap in found.gaps] == ["trailing-bytes"]
    assert ("storages", "") in part_names(found)


def test_a_count_of_millions_in_the_tar_layout_ends_with_the_bytes() -> None:
    data = torch_tar().replace(pickle.dumps(1, 2), pickle.dumps(200, 2))
    assert [gap.code for gap in reading(data, "tar").gaps] == ["bad-header", "truncated"]


def test_torchscript_code_is_collected() -> None:
    found = of_file("torchscript.pt")
    assert [name for name, _ in found.code][:1] == [
        "torchscript/code/__torch__/torch/nn/modules/container.py"
    ]  # type: ignore[attr-defined]
