"""Caffe: nets with weights (`.caffemodel`, NetParameter of caffe.proto) and net definitions as text (`.prototxt`).

Says which layers a net names, which strings its Python layers and data layers hold, and whether the values of a blob are
as many as its shape says. Of the text form only `type`, and strings that a layer opens or imports, are looked at.
"""

import re
from dataclasses import field

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.framework import (
    MAX_TEXTS,
    Call,
    ContradictionError,
    FrameworkReading,
    Text,
    counted_calls,
    product,
)
from weighbridge.formats.protobuf import LENGTH, Field, signed
from weighbridge.formats.protowalk import ProtoWalk, flaws
from weighbridge.formats.reading import Gap, Reading

PYTHON_PARAM = 130
_PARAMS = dict.fromkeys((*range(100, 130), *range(131, 160)), "skip")
SCHEMA: dict[str, dict[int, str]] = {
    "Net": {1: "text", 2: "OldLayer", 3: "text", 4: "int", 5: "int", 6: "skip", 7: "int", 8: "skip", 100: "Layer"},
    "Layer": {
        1: "text", 2: "text", 3: "text", 4: "text", 5: "fixed", 6: "skip", 7: "Blob", 8: "skip", 9: "skip", 10: "int", 11: "int",
        **_PARAMS, PYTHON_PARAM: "Python",
    },
    "OldLayer": {**dict.fromkeys(range(1, 60), "skip"), 4: "text", 5: "int", 6: "Blob", 1001: "text"},
    "Blob": {1: "int", 2: "int", 3: "int", 4: "int", 5: "fixed", 6: "fixed", 7: "Shape", 8: "fixed", 9: "fixed"},
    "Shape": {1: "int"},
    "Python": {1: "text", 2: "text", 3: "text", 4: "int"},
}  # fmt: skip
OLD_NUMBERS = frozenset({7, 8, 33, 34, 42, 1001, 1002})
"""Numbers of the old layer whose wire type is not length-delimited; they are not asked about."""
MAX_TEXT_FILE = 4 * 1024**2


def read(source: Source, budget: Budget, name: str) -> Reading:
    """A net with weights, or its definition as text. `InputError`: `not-this-format`."""
    head = source.read(0, 4096)
    if name.lower().endswith(".prototxt") or _TEXT.match(head):
        return _definition(source, budget)
    return _Net(walk=ProtoWalk(source=source, budget=budget, schema=SCHEMA)).reading(source.size)


_TEXT = late(rb"(?:\s|#[^\n]*\n)*+(?:name|layers?|input)\s*[:{]")


@dataclass(slots=True, kw_only=True)
class _Net:
    walk: ProtoWalk
    calls: list[Call] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def reading(self, size: int) -> FrameworkReading:
        anomalies, gaps = flaws(lambda: self._layers(size), lambda: bool(self.calls), "Caffe net")
        if not self.calls:
            raise InputError("not-this-format", "no layer of a Caffe net")
        return FrameworkReading(
            format="caffe",
            anomalies=(*anomalies, *self.walk.anomalies),
            gaps=gaps,
            calls=counted_calls(self.calls),
            texts=tuple(self.texts[:MAX_TEXTS]),
            tensors_unlisted="the blobs of a Caffe net are protobuf lists",
        )

    def _layers(self, size: int) -> None:
        for item in self.walk.each("Net", 0, size):
            if item.number in (2, 100):
                self._layer(item)

    def _layer(self, item: Field) -> None:
        old = item.number == 2
        parts = list(self.walk.each("OldLayer" if old else "Layer", item.start, item.end, 1))
        kinds = [
            f"V1:{p.value}" if old else self.walk.text(p) for p in parts if p.number == (5 if old else 2)
        ]
        names = [self.walk.text(p) for p in parts if p.number == (4 if old else 1)]
        where = f"layer {visible(names[-1] if names else '', 80)}"
        python = not old and any(p.number == PYTHON_PARAM for p in parts)
        self.calls.append(Call("Python" if python else (kinds or [""])[-1], where, item.start))
        for part in parts:
            if part.number == (6 if old else 7):
                self._blob(part)
            elif part.number == PYTHON_PARAM and python:
                self._python(part, where)

    def _python(self, item: Field, where: str) -> None:
        for part in self.walk.each("Python", item.start, item.end, 2):
            if part.wire == LENGTH:
                self.texts.append(Text(self.walk.text(part), where, part.start))

    def _blob(self, item: Field) -> None:
        dims: list[int] = []
        old: dict[int, int] = {}
        held = 0
        for part in self.walk.each("Blob", item.start, item.end, 2):
            if part.number in (1, 2, 3, 4):
                old[part.number] = signed(part.value)
            elif part.number == 7:
                for dim in self.walk.each("Shape", part.start, part.end, 3):
                    dims += [signed(value) for value in self.walk.numbers(dim)]
            elif part.number in (5, 8):
                width = 4 if part.number == 5 else 8
                held += (part.end - part.start) // width if part.wire == LENGTH else 1
        shape = dims or [old.get(number, 0) for number in (1, 2, 3, 4)]
        items = product(shape, offset=item.start)
        if held and held != items:
            raise ContradictionError("size-mismatch", f"{held} values in a blob of {items}", item.start)


_STRING = r'"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|\'((?:[^\'\\]|\\.)*+)(?:\'|\\?\Z)'
"""One that does not end goes to the end of the text, so that no text is walked twice."""
_FIELD = late(
    rf"\b(type|module|layer|param_str|source|python_param|mean_file|root_folder|output_directory|output_name_prefix|label_map_file|name_size_file|save_file|snapshot_prefix|infogain_source|shape_source)\s*(?::\s*(?:{_STRING}|([A-Z_0-9]+))|(?=\{{))"
)


def _definition(source: Source, budget: Budget) -> FrameworkReading:
    budget.need_memory(source.size * 2, "a net definition")
    text = source.read(0, MAX_TEXT_FILE).decode("utf-8", "replace")
    if "\0" in text or not re.search(r"\blayers?\s*\{", text):
        raise InputError("not-this-format", "no layer of a net definition")
    calls, texts = [], []
    for match in _FIELD.finditer(_uncommented(text)):
        key, value = match[1], next((group for group in match.groups()[1:] if group is not None), "")
        offset = match.start()
        if key == "python_param":
            calls.append(Call("Python", "python_param", offset))
        elif key == "type":
            calls.append(Call(value, f'type "{visible(value, 60)}"', offset))
        else:
            texts.append(Text(value, key, offset))
    gaps = (
        (Gap(code="limit-text", message="only its beginning was read"),)
        if source.size > MAX_TEXT_FILE
        else ()
    )
    return FrameworkReading(
        format="caffe", calls=counted_calls(calls), texts=tuple(texts[:MAX_TEXTS]), gaps=gaps
    )


def _uncommented(text: str) -> str:
    """Comments as blanks, so that offsets stay; a `#` inside a string stays too."""
    return re.sub(rf"(?:{_STRING})|#[^\n]*", lambda m: m[0] if m[0][0] != "#" else " " * len(m[0]), text)
