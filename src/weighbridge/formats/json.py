"""JSON (RFC 8259) and JSON Lines: the value, both values where a key stands twice, and where a key stands.

Read strictly, and settings of editors with their comments (`formats.jsonc`); what Python's own `json` also takes (NaN, a byte order mark, duplicate keys) becomes an anomaly, since
that is the loader of nearly every config. Chat templates become parts, so that the template reader sees them. What the
keys mean is the rules' business.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource, Source
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json
from weighbridge.formats.jsonc import takes_comments, without_comments
from weighbridge.formats.reading import Anomaly, Part, Reading
from weighbridge.formats.text import bidi_anomalies

KEEP = 1024**2
KEEP_INDEX = 64 * 1024**2
"""Index files of sharded models grow with the number of tensors."""
MAX_NESTING = 200
"""Deeper documents are refused: no config needs it, and walks over the value stay within the stack."""
TEMPLATE_KEYS = ("chat_template", "chat_templates")
MAX_ANOMALIES = 100
MAX_LINES_TEXT = 8 * 1024**2

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonReading(Reading):
    """One document, or with `format="jsonl"` a list of them."""

    value: Any
    """What Python's `json` gives: the last of equal keys."""
    first: Any = None
    """What a first-wins parser gives; None where no key stands twice."""
    text: str
    objects: tuple[tuple[Path, dict[str, Any]], ...] = ()
    """Every (path, object) of every view, for rules that look for keys at any depth."""

    @property
    def views(self) -> tuple[Any, ...]:
        """Every value that some loader sees."""
        return (self.value,) if self.first is None else (self.value, self.first)

    def line(self, path: Path) -> int:
        """The line (from 1) where the key or item at `path` begins; of its nearest parent where it is not found."""
        return line_of(self.text, path)


def read(source: Source, budget: Budget, name: str) -> JsonReading:
    """Parse the document. Raises `InputError` (`bad-json`, or `not-this-format` where the name promises no JSON)."""
    budget.need_memory(source.size * 3, "a JSON document")
    data = source.read(0, source.size)
    try:
        reading = _document(data, name)
    except InputError as error:
        lines = _lines(data, name)
        if lines is None:
            promised = name.lower().endswith(".json")
            raise error if promised else InputError("not-this-format", "not JSON") from None
        return lines
    return reading


def _document(data: bytes, name: str) -> JsonReading:
    text, anomalies = _decode(data, name)
    try:
        value, first = read_json(data.removeprefix(b"\xef\xbb\xbf"), "the document", limit=len(data)), None
    except InputError as error:
        value, first, more = _lenient(without_comments(text) if takes_comments(name) else text, error)
        anomalies += more
    nodes = (*objects(value), *objects(first))
    model = _tensorflow_js(value)
    index = name.endswith(".index.json") or bool(model)
    small = len(data) <= (KEEP_INDEX if index else KEEP)
    return JsonReading(
        format="json",
        value=value,
        first=first,
        text=text,
        anomalies=anomalies + bidi_anomalies(text),
        objects=nodes,
        parts=tuple(templates(nodes)),
        keep=small,
        **model,
    )


def _tensorflow_js(value: Any) -> dict[str, Any]:
    """The fields of a reading that a model of TensorFlow.js fills; nothing for other documents."""
    if not (isinstance(value, dict) and ("weightsManifest" in value or "modelTopology" in value)) and not (
        isinstance(value, list) and value and isinstance(value[0], dict) and "paths" in value[0]
    ):
        return {}
    from weighbridge.formats.tensorflow import tfjs  # few documents are models

    if not tfjs.is_model(value):
        return {}
    tensors, why = tfjs.tensors(value)
    return {"externals": tfjs.externals(value), "tensors": tensors, "tensors_unlisted": why}


def _decode(data: bytes, name: str) -> tuple[str, tuple[Anomaly, ...]]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("bad-json", f"{name} is not UTF-8: {error.reason}") from None
    if text.startswith("\ufeff"):
        return text[1:], (
            Anomaly(code="byte-order-mark", message="a byte order mark stands before the document"),
        )
    return text, ()


def _lenient(text: str, error: InputError) -> tuple[Any, Any, tuple[Anomaly, ...]]:
    """What loaders make of a document that is not strict: last-wins, first-wins, and what they disagree about."""
    doubled: list[str] = []

    def first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        view = dict(reversed(pairs))
        if len(view) != len(pairs):
            seen: set[str] = set()
            doubled.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return view

    try:
        value = json.loads(text)
        first = json.loads(text, object_pairs_hook=first_wins)
    except (ValueError, RecursionError):
        raise error from None
    anomalies = [
        Anomaly(code="duplicate-key", message=f'the key "{key[:100]}" stands twice in one object')
        for key in dict.fromkeys(doubled)
    ]
    if not doubled:
        anomalies.append(Anomaly(code="json-not-strict", message=error.message))
    return value, (first if doubled else None), tuple(anomalies[:MAX_ANOMALIES])


def _lines(data: bytes, name: str) -> JsonReading | None:
    """JSON Lines: each line that is not blank is an object or array."""
    rows = data.splitlines()
    values: list[Any] = []
    if len(rows) < 2 and not name.lower().endswith((".jsonl", ".ndjson")):
        return None
    anomalies: list[Anomaly] = []
    try:
        for row in rows:
            if row.strip():
                value, more = _row(row, lenient=len(anomalies) >= MAX_ANOMALIES)
                values.append(value)
                anomalies += more[: MAX_ANOMALIES - len(anomalies)]
    except (InputError, ValueError, RecursionError):
        return None
    return JsonReading(
        format="jsonl",
        value=values,
        text=data.decode("utf-8"),
        objects=tuple(objects(values)),
        anomalies=tuple(anomalies),
    )


def _row(row: bytes, *, lenient: bool) -> tuple[Any, tuple[Anomaly, ...]]:
    """One line; with `lenient` as most programs read it, without asking what is wrong with it."""
    try:
        value = json.loads(row) if lenient else read_json(row, "a line", limit=len(row))
        anomalies: tuple[Anomaly, ...] = ()
    except InputError as error:
        value, _, anomalies = _lenient(row.decode("utf-8"), error)
    if not isinstance(value, dict | list):
        raise InputError("bad-json", "a line is neither object nor array")
    return value, anomalies


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every (path, value) below and including `value`, in document order; containers before their contents."""
    stack: list[tuple[Path, Any]] = [(path, value)]
    while stack:
        here, item = stack.pop()
        yield here, item
        if isinstance(item, dict):
            stack += [((*here, key), inner) for key, inner in reversed(item.items())]
        elif isinstance(item, list):
            stack += [((*here, index), inner) for index, inner in reversed(list(enumerate(item)))]


def objects(value: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every (path, object) in the value; scalars are skipped, so that a large vocabulary costs little.

    Raises `InputError` (`bad-json`) where it is nested too deep.
    """
    stack: list[tuple[Path, Any]] = [(path, value)] if type(value) in _CONTAINERS else []
    while stack:
        here, item = stack.pop()
        if len(here) > MAX_NESTING:
            raise InputError("bad-json", f"nested deeper than {MAX_NESTING} levels")
        if isinstance(item, dict):
            yield here, item
            pairs: Iterable[tuple[Any, Any]] = item.items()
        else:
            pairs = enumerate(item)
        inner = [((*here, step), one) for step, one in pairs if type(one) in _CONTAINERS]
        stack += reversed(inner)


_CONTAINERS = frozenset((dict, list))


def weight_map(reading: JsonReading) -> Iterator[tuple[str, str]]:
    """(first tensor, shard) for every shard that the index of a sharded model names, in both views of a doubled key."""
    told: set[str] = set()
    for view in reading.views:
        mapping = view.get("weight_map") if isinstance(view, dict) else None
        for tensor, shard in mapping.items() if isinstance(mapping, dict) else ():
            if isinstance(shard, str) and shard not in told:
                told.add(shard)
                yield tensor, shard


def templates(nodes: Iterable[tuple[Path, dict[str, Any]]]) -> Iterator[Part]:
    """Texts that transformers and its servers render with Jinja."""
    for path, item in nodes:
        for inner, text in _template_texts(item):
            name = ".".join(str(step) for step in (*path, *inner))
            yield Part(name=name, source=MemorySource(text.encode("utf-8", "surrogatepass")), kind="template")


def _template_texts(item: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    if item.get("template_format") == "jinja2" and isinstance(item.get("template"), str):
        yield ("template",), item["template"]
    for key in TEMPLATE_KEYS:
        for path, text in walk(item.get(key), (key,)):
            if isinstance(text, str) and path[-1] != "name":
                yield path, text


_TOKEN = late(r'[\s:,]*("(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s,:{}\[\]"]+)', re.DOTALL)


def line_of(text: str, path: Path) -> int:
    """The line of the key or item at `path`, of its nearest parent where it is not there; for messages only."""
    best, best_length = 0, -1
    for here, offset in _positions(text):
        if len(here) > best_length and here == path[: len(here)]:
            best, best_length = offset, len(here)
            if best_length == len(path):
                break
    return text.count("\n", 0, best) + 1


def _positions(text: str) -> Iterator[tuple[Path, int]]:
    """(path, offset) of every key and item, in document order; tolerant, since the text was parsed before."""
    stack: list[list[Any]] = []
    key: str | None = None
    for match in _TOKEN.finditer(text[:MAX_LINES_TEXT]):
        lexeme, offset = match[1], match.start(1)
        if lexeme in "}]":
            if stack:
                stack.pop()
            continue
        if stack and stack[-1][0] == "{" and key is None:
            key = _string(lexeme)
            stack[-1][1] = key
            yield tuple(frame[1] for frame in stack), offset
            continue
        if stack and stack[-1][0] == "[":
            stack[-1][1] += 1
            yield tuple(frame[1] for frame in stack), offset
        key = None
        if lexeme in "{[":
            stack.append([lexeme, None if lexeme == "{" else -1])


def _string(lexeme: str) -> str:
    try:
        return str(json.loads(lexeme))
    except ValueError:
        return lexeme
