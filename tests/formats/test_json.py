"""JSON as loaders disagree about it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats.json import JsonReading, line_of, objects, read, walk, weight_map


def look(data: bytes | str, name: str = "x.json", limits: Limits | None = None) -> JsonReading:
    return read(MemorySource(data.encode() if isinstance(data, str) else data), Budget(limits), name)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_what_is_written_is_read(value: dict[str, object]) -> None:
    reading = look(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    assert (reading.value, reading.first, reading.anomalies) == (value, None, reading.anomalies)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.sampled_from([None, 2]))
def test_every_path_has_its_line(value: object, indent: int | None) -> None:
    """`line_of` finds the line on which the key or item itself stands."""
    text = json.dumps({"top": value}, indent=indent)
    lines = text.splitlines()
    for path, _ in walk({"top": value}):
        line = line_of(text, path)
        assert 1 <= line <= len(lines)
        if path and isinstance(path[-1], str):
            assert json.dumps(path[-1]) in lines[line - 1]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for name in ("x.json", "x.txt"):
        try:
            look(data, name)
        except InputError as error:
            assert error.code == ("bad-json" if name == "x.json" else "not-this-format")  # noqa: PT017


def test_a_key_twice_gives_both_views() -> None:
    reading = look('{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}')
    assert reading.value == {"a": 3, "b": {"c": 2}}
    assert reading.first == {"a": 1, "b": {"c": 1}}
    assert [a.code for a in reading.anomalies] == ["duplicate-key", "duplicate-key"]


@pytest.mark.parametrize(
    ("text", "code"), [("[0.0, Infinity]", "json-not-strict"), ("\ufeff{}", "byte-order-mark")]
)
def test_what_python_takes_and_the_standard_does_not_is_an_anomaly(text: str, code: str) -> None:
    assert [a.code for a in look(text).anomalies] == [code]


@pytest.mark.parametrize(
    "text", ["{", '{"a": }', "nothing", "{} {}", '{"a": 1,}', "// x\n{}", '"\x00"', "[" * 5000]
)
def test_what_no_loader_takes_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        look(text)
    assert caught.value.code == "bad-json"


def test_nesting_is_limited() -> None:
    look("[" * 100 + "]" * 100)
    with pytest.raises(InputError):
        look("[" * 300 + "]" * 300)


def test_memory_is_asked_for() -> None:
    with pytest.raises(LimitError):
        look("[" + "1," * 1000 + "1]", limits=Limits(memory=1000))


def test_lines_of_json() -> None:
    reading = look('{"a": 1}\n\n{"a": 2, "a": 3}\n', "x.jsonl")
    assert (reading.format, reading.value) == ("jsonl", [{"a": 1}, {"a": 3}])
    assert [a.code for a in reading.anomalies] == ["duplicate-key"]
    with pytest.raises(InputError):
        look('{"a": 1}\nnothing\n', "x.json")


def test_chat_templates_become_parts() -> None:
    value = {
        "chat_template": [{"name": "default", "template": "{{ a }}"}],
        "inner": {"chat_template": "{{ b }}"},
        "prompt": {"template_format": "jinja2", "template": "{{ c }}"},
        "other": {"template": "no"},
    }
    parts = {part.name: part.source.read(0, 99) for part in look(json.dumps(value)).parts}
    assert parts == {
        "chat_template.0.template": b"{{ a }}",
        "inner.chat_template": b"{{ b }}",
        "prompt.template": b"{{ c }}",
    }
    assert {part.kind for part in look(json.dumps(value)).parts} == {"template"}


def test_a_template_hidden_behind_a_doubled_key_is_a_part_too() -> None:
    parts = look('{"chat_template": "{{ a }}", "chat_template": "b"}').parts
    assert sorted(part.source.read(0, 99) for part in parts) == [b"b", b"{{ a }}"]


def test_objects_skip_what_is_no_object() -> None:
    assert [path for path, _ in objects({"a": [1, {"b": {}}], "c": "d"})] == [(), ("a", 1), ("a", 1, "b")]


def test_the_line_of_a_key() -> None:
    text = '{\n  "a": 1,\n  "b": [\n    {"c": "}{,"},\n    {"d": 2}\n  ]\n}'
    assert [line_of(text, path) for path in [("a",), ("b",), ("b", 0, "c"), ("b", 1, "d"), ("b", 9)]] == [
        2,
        3,
        4,
        5,
        3,
    ]


def test_shards_of_an_index() -> None:
    reading = look('{"weight_map": {"a": "1", "b": "1", "c": "2", "c": "3", "d": 4}}')
    assert sorted(weight_map(reading)) == [("a", "1"), ("c", "2"), ("c", "3")]


def test_only_small_documents_are_kept() -> None:
    big = '{"weight_map": {}, "x": "' + "y" * 2_000_000 + '"}'
    assert [look("{}").keep, look(big).keep, look(big, "model.safetensors.index.json").keep] == [
        True,
        False,
        True,
    ]
