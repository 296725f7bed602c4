"""YAML as events: the tree is what PyYAML's safe loader makes of it, and nothing is ever constructed."""

import time
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource
from weighbridge.formats import yaml
from weighbridge.formats.yaml import YamlReading


def look(text: str | bytes) -> YamlReading:
    data = text.encode() if isinstance(text, str) else text
    return yaml.read(MemorySource(data), Budget(), "a.yaml")


KEYS = st.text("abcdef_ ", min_size=1, max_size=6).filter(
    lambda text: text.strip() == text and text not in ("e", "_")
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text("abc: #&*!|>'\"-\n,é漢", max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.booleans())
def test_the_tree_is_what_a_safe_loader_makes(value: Any, flow: bool) -> None:
    text = pyyaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    reading = look(text)
    assert reading.gaps == ()
    assert reading.value == pyyaml.safe_load(text) == value


@settings(max_examples=200, deadline=None)
@given(st.text("ab:-[]{}&*!<>|%'\"#\n ,?@`1", max_size=60))
def test_any_text_ends_in_a_tree_or_a_gap(text: str) -> None:
    reading = look(text)
    assert reading.gaps or reading.whole
    try:
        loaded = list(pyyaml.safe_load_all(text))
    except (pyyaml.YAMLError, ValueError, RecursionError, TypeError):
        return
    assert len(loaded) == reading.documents


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_tree_or_a_refusal(data: bytes) -> None:
    try:
        look(data)
    except InputError as error:
        if error.code != "not-this-format":
            raise


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "a: yes\nb: 'yes'\nc: ~\nd: 1_000\ne: 1.5\nf: !!str 1",
            {"a": True, "b": "yes", "c": None, "d": 1000, "e": 1.5, "f": "1"},
        ),
        ("x: &x {k: 1}\ny: *x", {"x": {"k": 1}, "y": {"k": 1}}),
        ("x: &k key\ny: {*k : 1}", {"x": "key", "y": {"key": 1}}),
        ("a: 1\n---\nb: 2", [{"a": 1}, {"b": 2}]),
        ("1: a\ntrue: b", {"1": "a", "True": "b"}),
        ("? [a, b]\n: c", {"? ['a', 'b']": "c"}),
        ("", []),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert look(text).value == value


def test_merge_keys_are_followed_and_kept() -> None:
    reading = look("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3")
    assert reading.value["y"] == {"<<": {"a": 1, "b": 2}, "a": 1, "b": 3}


def test_both_values_of_a_doubled_key_are_seen() -> None:
    reading = look("a:\n  k: {x: 1}\n  k: {y: 2}")
    assert reading.value == {"a": {"k": {"y": 2}}}
    assert {"x": 1} in [item for _, item in reading.objects]
    assert [anomaly.code for anomaly in reading.anomalies] == ["duplicate-key"]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("a: !!python/object/apply:os.system [x]", ["tag:yaml.org,2002:python/object/apply:os.system"]),
        ("a: !<tag:yaml.org,2002:python/name:os.system> ''", ["tag:yaml.org,2002:python/name:os.system"]),
        (
            "%TAG !p! tag:yaml.org,2002:py\n---\na: !p!thon/module:os ''",
            ["tag:yaml.org,2002:python/module:os"],
        ),
        ("a: !!pyth%6Fn/name:os.system ''", ["tag:yaml.org,2002:python/name:os.system"]),
        ("a: !include x\nb: !!str y\nc: ! z", ["!include"]),
    ],
)
def test_tags_are_told_in_full(text: str, tags: list[str]) -> None:
    assert [tag.name for tag in look(text).tags] == tags


def test_lines_are_those_of_the_keys() -> None:
    reading = look("# c\na:\n  b:\n    - 1\n    - k: 2\n")
    assert [reading.line(path) for path in [("a",), ("a", "b"), ("a", "b", 1, "k"), ("a", "x")]] == [
        2,
        3,
        5,
        2,
    ]
    assert look("a: 1\n---\nb: 2\n").line((1, "b")) == 3


def test_a_bomb_is_counted_and_not_unfolded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    before = time.monotonic()
    reading = look("\n".join(lines))
    assert time.monotonic() - before < 5
    assert [anomaly.code for anomaly in reading.anomalies] == ["yaml-bomb"]
    assert [gap.code for gap in reading.gaps] == ["limit-yaml"]


def test_an_alias_inside_itself_ends() -> None:
    reading = look("a: &a [1, *a]")
    assert reading.value == {"a": [1, None]}
    assert [anomaly.code for anomaly in reading.anomalies] == ["yaml-cycle"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [1, 2", "bad-yaml"),
        ("a: *b", "bad-yaml"),
        ("a: b: c", "bad-yaml"),
        ("[" * 100 + "]" * 100, "limit-depth"),
        ("{a: " * 100 + "1" + "}" * 100, "limit-depth"),
        ("# \n" * 400_000, "limit-yaml"),
    ],
)
def test_what_cannot_be_followed_is_a_gap(text: str, code: str) -> None:
    reading = look(text)
    assert {gap.code for gap in reading.gaps} == {code}
    assert not reading.whole


def test_what_stands_before_an_error_is_kept() -> None:
    assert [tag.name for tag in look("a: !x 1\n---\nb: [").tags] == ["!x"]


def test_chat_templates_are_parts() -> None:
    assert [(part.name, part.kind) for part in look("chat_template: '{{ x }}'").parts] == [
        ("chat_template", "template")
    ]
