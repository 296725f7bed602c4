"""Executables, git-lfs pointers, empty files, SentencePiece models and notebooks."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tensorfiles import message
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource
from weighbridge.formats import executable, lfs, notebook, read, sentencepiece
from weighbridge.formats.notebook import NotebookReading, split_magics


def look(module: Any, data: bytes, name: str = "x") -> Any:
    return module.read(MemorySource(data), Budget(), name)


PE = b"MZ" + b"\0" * 0x3A + struct.pack("<I", 0x40) + b"PE\0\0"


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"\x7fELF\x02\x01\x01", "model.bin", "elf"),
        (PE, "x", "pe"),
        (b"\xcf\xfa\xed\xfe" + b"\0" * 20, "x", "mach-o"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02", "x", "mach-o"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41", "x", "java-class"),
        (b"\0asm\x01\0\0\0", "x", "wasm"),
        (b"\xa7\r\r\n" + b"\0" * 12, "x.pyc", "pyc"),
        (b"#!/bin/sh\necho", "x", "script"),
        (b"echo", "x.BAT", "script"),
    ],
)
def test_programs_are_known_by_content(data: bytes, name: str, kind: str) -> None:
    assert look(executable, data, name).format == kind


@pytest.mark.parametrize("data", [b"MZ but text", b"\x7fELF\x09", b"\0asm\x09\0\0\0", b"#!\0\0", b"MZ"])
def test_magic_numbers_by_chance_are_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        look(executable, data)
    assert caught.value.code == "not-this-format"


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 123\n"


def test_a_pointer_says_what_is_missing() -> None:
    reading = look(lfs, POINTER)
    assert (reading.oid, reading.real_size, [g.code for g in reading.gaps]) == (
        "ab" * 32,
        123,
        ["lfs-pointer"],
    )


@pytest.mark.parametrize("data", [POINTER[:40], POINTER.replace(b"sha256", b"md5"), POINTER + b"x" * 1000])
def test_what_only_begins_like_a_pointer_is_none(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        look(lfs, data)
    assert caught.value.code == "not-this-format"


def test_empty() -> None:
    assert read("empty", MemorySource(b""), Budget(), "x").format == "empty"


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


PIECE = field(1, b"\x0a\x05<unk>\x15\0\0\0\0\x18\x02")
SPM = PIECE * 3 + field(2, b"\x18\x02") + field(3, b"\x0a\x03nfk")


def test_a_sentencepiece_model() -> None:
    reading = look(sentencepiece, SPM)
    assert (reading.format, reading.pieces, reading.gaps) == ("sentencepiece", 3, ())
    assert [g.code for g in look(sentencepiece, SPM + field(9, b"x")).gaps] == ["field-unknown"]


def normalizer(table: bytes) -> bytes:
    return message(3, message(1, "nmt_nfkc"), message(2, table))


def test_the_table_of_a_sentencepiece_model_stays_inside_of_itself() -> None:
    """As training makes it: units of four bytes in blocks of 256, then the texts, each with a NUL behind."""
    units = (bytes(4) + (1 << 31 | 2).to_bytes(4, "little")).ljust(1024, b"\0")
    good = (1024).to_bytes(4, "little") + units + b"ab\0"
    assert look(sentencepiece, SPM + normalizer(good)).gaps == ()
    for bad in (
        good[:-1],
        good.replace(b"\x02\0\0\x80", b"\x03\0\0\x80"),
        b"\0\0\1\0" + good[4:],
        b"\x10" + good[1:],
    ):
        assert [g.code for g in look(sentencepiece, SPM + normalizer(bad)).gaps] == ["table-outside"]


@pytest.mark.parametrize(
    "data", [SPM[:-1], PIECE, SPM + b"\x08\x01", SPM + b"\xff" * 12, field(1, b"x") + SPM, SPM + b"\0"]
)
def test_what_is_no_sentencepiece_model(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        look(sentencepiece, data)
    assert caught.value.code == "not-this-format"


def cell(source: Any, kind: str = "code", **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source, "outputs": [], **more}


def book(*cells: dict[str, Any], **more: Any) -> NotebookReading:
    value = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **more}
    reading: NotebookReading = look(notebook, json.dumps(value).encode(), "x.ipynb")
    return reading


def test_cells_become_python_parts_with_their_lines() -> None:
    reading = book(cell("# title", "markdown"), cell(["import os\n", "!ls\n", "x = 1"]))
    assert [(p.name, p.kind, p.source.read(0, 99)) for p in reading.parts] == [
        ("cell 2", "python", b"import os\npass\nx = 1\n")
    ]
    assert [(m.cell, m.line, m.text) for m in reading.magics] == [(2, 2, "!ls")]


@pytest.mark.parametrize(
    ("code", "python", "magics"),
    [
        ("%%bash\nls", "", ["%%bash"]),
        ("%%time\nx = 1", "\nx = 1\n", []),
        ("\n%%writefile x.py\nimport os", "", ["%%writefile x.py"]),
        ("files = !ls -l", "files = None\n", ["files = !ls -l"]),
        ("  %run x.py", "  pass\n", ["%run x.py"]),
        ("x = (5\n% 3)", "x = (5\n% 3)\n", []),
        ("x?", "pass\n", []),
        ('"""\n!no\n"""', '"""\n!no\n"""\n', []),
        ("if a != b:\n    pass", "if a != b:\n    pass\n", []),
    ],
)
def test_magics_are_taken_out(code: str, python: str, magics: list[str]) -> None:
    left, found = split_magics(code, 1)
    assert (left, [magic.text for magic in found]) == (python, magics)


@pytest.mark.parametrize(
    ("data", "active"),
    [
        ({"text/html": "<script>1</script>"}, ["text/html"]),
        ({"text/html": ["<img src=x ", "onerror=alert(1)>"]}, ["text/html"]),
        ({"application/javascript": "1"}, ["application/javascript"]),
        ({"image/svg+xml": "<svg onload='x'/>"}, ["image/svg+xml"]),
        ({"text/html": "<table><b>1</b></table>", "image/png": "aGk="}, []),
        ({"text/plain": "<script>"}, []),
    ],
)
def test_active_outputs(data: dict[str, Any], active: list[str]) -> None:
    reading = book(cell("1", outputs=[{"output_type": "display_data", "data": data}]))
    assert [output.kind for output in reading.outputs] == active


def test_other_languages_are_a_gap() -> None:
    reading = book(cell("1"), metadata={"kernelspec": {"language": "R"}})
    assert ([g.code for g in reading.gaps], reading.parts) == (["notebook-language"], ())


@pytest.mark.parametrize(
    "value", [[], {}, {"nbformat": 4}, {"nbformat": 4, "cells": [1]}, {"nbformat": 3, "worksheets": [1]}]
)
def test_what_is_no_notebook(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        look(notebook, json.dumps(value).encode(), "x.ipynb")
    assert caught.value.code == "bad-notebook"


def test_old_notebooks_keep_cells_in_worksheets() -> None:
    old = {
        "nbformat": 3,
        "metadata": {},
        "worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1", "outputs": []}]}],
    }
    assert len(look(notebook, json.dumps(old).encode(), "x.ipynb").parts) == 1


ODD = st.recursive(
    st.none() | st.integers() | st.text(max_size=5), lambda i: st.lists(i, max_size=3) | st.dictionaries(
        st.sampled_from(["cells", "cell_type", "source", "outputs", "data", "text/html", "metadata", "nbformat", "code"]), i, max_size=4)
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(ODD, ODD)
def test_odd_notebooks_are_read_or_refused(cells: Any, metadata: Any) -> None:
    value = {"nbformat": 4, "cells": cells, "metadata": metadata}
    try:
        look(notebook, json.dumps(value).encode(), "x.ipynb")
    except InputError as error:
        assert error.code in ("bad-notebook", "bad-json")  # noqa: PT017


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([executable, lfs, sentencepiece]), st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(module: Any, data: bytes) -> None:
    try:
        look(module, data)
    except InputError as error:
        assert error.code == "not-this-format"  # noqa: PT017
