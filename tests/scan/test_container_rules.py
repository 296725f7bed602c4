"""Archives through the whole scanner: the published bypasses, bombs, and that every reader's anomaly has a rule."""

import io
import re
import struct
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weighbridge.formats
from tests.formats.zipmaker import DEFLATED, Item, deflate, make
from weighbridge.core.artifact import Member
from weighbridge.core.budget import Limits
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.scan.engine import Examination, Scanner, load_rule
from weighbridge.scan.rules import RULES

DATA = Path(__file__).parent.parent / "formats" / "data"
CALL = b"\x80\x02cposix\nsystem\nX\x17\0\0\0echo weighbridge-sample\x85R."
PLAIN = b"\x80\x02}."


def examine(data: bytes, name: str = "model.pt", limits: Limits | None = None) -> Examination:
    return Scanner(limits).examine(Member(name, len(data)), MemorySource(data))


def outcome(data: bytes, name: str = "model.pt") -> Outcome:
    return examine(data, name).result.outcome


def rules(data: bytes, name: str = "model.pt") -> set[str]:
    return {finding.rule for finding in examine(data, name).findings}


def model(pickle: bytes = CALL, name: str = "model/data.pkl", **changes: object) -> Item:
    return Item(name=name, data=pickle, **changes)  # type: ignore[arg-type]


# -- real files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("torch-zip.pt", "pytorch-zip"),
        ("torch-checkpoint.pt", "pytorch-zip"),
        ("torch-legacy.pt", "pytorch-legacy"),
        ("torchscript.pt", "torchscript"),
        ("sequential.keras", "keras"),
        ("sequential.h5", "hdf5"),
        ("dense.h5", "hdf5"),
    ],
)
def test_what_the_libraries_write_passes(name: str, form: str) -> None:
    found = examine((DATA / name).read_bytes(), name)
    assert (found.result.format, found.result.outcome) == (form, Outcome.PASS), (found.findings, found.unread)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_zip_of_harmless_files_passes(compression: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("model/notes.txt", "weights: none\n")
        archive.write(DATA / "torch-zip.pt", "model/weights.pt")
        archive.writestr("inner.zip", make(model(PLAIN)))
    assert outcome(buffer.getvalue(), "model.zip") is Outcome.PASS


# -- bypasses ------------------------------------------------------------------------------------------------------

HIDDEN = {
    "case": make(model(name="model/DATA.PKL")),
    "case_before": make(model(name="model/Data.Pkl"), model(PLAIN)),
    "duplicate_first": make(model(), model(PLAIN)),
    "duplicate_last": make(model(PLAIN), model()),
    "not_in_the_directory": make(model(PLAIN), model(name="x.pkl", listed=False)),
    "local_size_lie": make(model(local={"size": 3, "packed": 3})),
    "local_method_lie": make(model(local={"method": DEFLATED})),
    "deflated": make(model(method=DEFLATED)),
    "descriptor": make(model(method=DEFLATED, descriptor=True)),
    "size_too_large": make(model(method=DEFLATED, local={"size": 999}, central={"size": 999})),
    "size_far_too_large": make(model(method=DEFLATED, packed=deflate(CALL), local={"size": 2**24 + 9}, central={"size": 2**24 + 9})),
    "size_too_small": make(model(method=DEFLATED, local={"size": 9}, central={"size": 9})),
    "stored_size_too_small": make(model(central={"size": 9})),
    "backslash": make(model(name="model\\data.pkl")),
    "other_root": make(model(PLAIN), model(name="other/data.pkl")),
    "nul": make(model(name="model/data.pkl\0.txt")),
    "bytes_before": CALL + make(model(PLAIN)),
    "bytes_after": make(model(PLAIN)) + CALL,
    "between": make(Item(name="model/data.pkl", data=PLAIN, behind=CALL), Item(name="a", data=b"text")),
    "comment_with_second_end": make(model(), comment=make(Item(name="model/data.pkl", data=PLAIN))),
    "nested": make(Item(name="a.zip", data=make(Item(name="b.zip", data=make(model()))))),
    "nested_deflated": make(Item(name="a.bin", data=make(model()), method=DEFLATED)),
    "version_record": make(model(PLAIN), model(name="model/version")),
    "storage_record": make(model(PLAIN), model(name="model/data/0")),
    "no_directory": make(model())[:91],
    "keras_asset": make(
        Item(name="config.json", data=b"{}"), Item(name="metadata.json", data=b"{}"), model(name="assets/a.bin")
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HIDDEN)
def test_a_hidden_pickle_fails(case: str) -> None:
    found = examine(HIDDEN[case])
    assert found.result.outcome is Outcome.FAIL, (found.findings, found.unread)
    assert "pickle-unsafe-call" in {finding.rule for finding in found.findings}


def test_a_hidden_object_array_in_npz_fails() -> None:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + CALL
    assert outcome(make(Item(name="x.npy", data=array)), "x.npz") is Outcome.FAIL


@pytest.mark.parametrize("number", [0, 3, 4])
def test_a_call_in_a_legacy_file_fails(number: int) -> None:
    from tests.formats.test_pytorch import legacy_pieces, legacy_with

    program = b"\x80\x02" + CALL[2:-1] + b"0" + legacy_pieces()[number][2:]
    assert outcome(legacy_with(number, program)) is Outcome.FAIL


def test_a_second_pickle_behind_a_legacy_file_fails() -> None:
    assert outcome((DATA / "torch-legacy.pt").read_bytes() + CALL) is Outcome.FAIL


def test_a_weights_file_that_is_an_archive_is_read_as_both() -> None:
    """An HDF5 file whose signature stands inside a member of the zip file that it also is."""
    hidden = bytes(512 - 30 - 5) + (DATA / "outside.h5").read_bytes()
    data = make(Item(name="a.bin", data=hidden))
    assert data.index(b"\x89HDF") == 512
    assert "hdf5-external-link" in rules(data, "model.h5")


def test_torchscript_does_not_excuse_a_pickle_of_python() -> None:
    data = make(
        model(), Item(name="model/constants.pkl", data=b"\x80\x02)."), Item(name="model/version", data=b"3\n")
    )
    found = examine(data)
    assert (found.result.format, found.result.outcome) == ("torchscript", Outcome.FAIL)


CODE = {
    "x = torch.relu(y)": [],
    "x = torch.save(y, z)": ["aten::save"],
    "x = torch . from_file(y)": ["aten::from_file"],
    "x = ops.aten.save(y)": ["aten::save"],
    "x = ops . library . op(y)": ["library::op"],
    'x = "torch.save(y)"': [],
    'x = "a\\"b"; y = torch.save(z)': ["aten::save"],
    "x = exec(y)": ["exec"],
    "x = annotate(List[int], [torch.len(y)])": [],
    "def forward(self: __torch__.torch.nn.M) -> Tensor:": [],
    "_0 = __torch__.f\nx = _0(y)": [],
    "_0 = ops.library.f\nx = _0(y)": ["library::f"],
    "x = (self.conv).forward(y, )": [],
}


@pytest.mark.parametrize("code", CODE)
def test_operators_of_torchscript_code(code: str) -> None:
    from weighbridge.scan.contracts.torchscript import unlisted

    assert list(unlisted(code)) == CODE[code]


# -- bombs ---------------------------------------------------------------------------------------------------------


def test_nested_bombs_end_quickly() -> None:
    """Sixteen equal archives on each of six levels: 17 million in all."""
    data = make(Item(name="zeros", data=b"", method=DEFLATED, packed=deflate(bytes(10**6)),
                     local={"size": 2**31}, central={"size": 2**31}))  # fmt: skip
    for level in range(6):
        data = make(*[Item(name=f"{level}-{i}.zip", data=data, method=DEFLATED) for i in range(16)])
    before = time.monotonic()
    found = examine(data, "bomb.zip")
    assert time.monotonic() - before < 10
    assert found.result.outcome is Outcome.FAIL
    assert "archive-bomb" in {finding.rule for finding in found.findings}


def test_an_archive_that_holds_itself_ends_at_the_depth_limit() -> None:
    data = make(model(PLAIN))
    for _ in range(30):
        data = make(Item(name="a.zip", data=data))
    found = examine(data, "deep.zip")
    assert "limit-depth" in {item.code for item in found.unread}
    assert [(f.rule, f.message) for f in found.findings] == [
        ("archive-bomb", "contents inside contents, more than 16 deep")
    ]
    found = examine(data, "deep.zip", Limits(depth=4))
    assert found.result.outcome is Outcome.UNKNOWN


def test_unpacked_bytes_end_at_the_limit() -> None:
    data = make(*[Item(name=f"{i}.txt", data=b"text " * 40_000, method=DEFLATED) for i in range(10)])
    found = examine(data, "big.zip", Limits(bytes=1_000_000))
    assert found.result.outcome is Outcome.UNKNOWN
    assert {item.code for item in found.unread} == {"limit-bytes"}


def test_a_million_faults_make_a_few_lines() -> None:
    data = make(*[Item(name=f"../{i}", data=b"") for i in range(300)])
    found = examine(data, "x.zip")
    assert len([f for f in found.findings if f.rule == "archive-path-escape"]) == 26


# -- laws ----------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_changed_archive_passes_only_where_no_reader_sees_the_call(changes: list[tuple[int, int]]) -> None:
    """Whatever bytes are changed: where zipfile still hands out the call, the file does not pass."""
    broken = bytearray(
        make(model(), Item(name="model/version", data=b"3\n"), Item(name="model/x.txt", data=b"text"))
    )
    for at, value in changes:
        broken[at % len(broken)] = value
    data = bytes(broken)
    if CALL in data:
        assert outcome(data) is not Outcome.PASS
    assert not [item for item in examine(data).unread if item.code == "internal-error"]


def test_every_anomaly_of_these_readers_is_some_rules_business() -> None:
    """A code that no rule looks at would be a contradiction that nobody hears of."""
    folder = Path(weighbridge.formats.__file__).parent
    noted = {
        code
        for name in (
            "zip/__init__",
            "zip/contents",
            "zip/directory",
            "zip/ends",
            "zip/entries",
            "zip/spare",
            "zip/streamed",
            "zip/tree",
            "tar/tree",
            "membernames",
            "hdf5/__init__",
            "hdf5/file",
            "hdf5/dataset",
            "pytorch/__init__",
            "pytorch/legacy",
            "pytorch/tensors",
            "sevenzip/__init__",
            "sevenzip/header",
            "compressed",
        )
        for code in re.findall(
            r'(?:\.add\(\s*|Anomaly\(\s*code=|code = )"([a-z0-9-]+)"', (folder / f"{name}.py").read_text()
        )
    } | {
        "7z-data-after",
        "7z-data-between",
        "link-escapes",
        "link-inside",
        "nested-too-deep",
        "zip-data-after",
        "zip-data-before",
        "zip-data-between",
    }
    judged = set()
    for name, _ in RULES:
        if name.startswith(("archive-", "compressed-", "sevenzip-", "zip-", "tar-", "hdf5-", "pytorch-")):
            module = __import__(type(load_rule(name)).__module__, fromlist=["x"])
            judged |= {
                code for value in vars(module).values() if isinstance(value, frozenset) for code in value
            }
    assert noted - judged == set()
    assert judged - noted == set()
