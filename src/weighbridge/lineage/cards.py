"""A model card as a hub gives it, turned into declared edges. What a card says is what somebody typed, and no more.

    {"id": "org/name", "sha": "…", "base_model": "org/base" or a list, "base_model_relation": "finetune|quantized|merge|adapter",
     "datasets": […], "tags": ["base_model:quantized:org/base", "dataset:org/data"], "lastModified": "…"}

The same fields may stand in `cardData`. Names become `hf:org/name@sha`; one that is no repository becomes `name:…`. Fields of
wrong types and lists that nobody wrote by hand are told, and everything else in the card still counts.
https://huggingface.co/docs/hub/model-cards
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from weighbridge.attest.step import Relation
from weighbridge.core.pattern import late
from weighbridge.core.value import dataclass
from weighbridge.lineage.edge import Edge, Link
from weighbridge.lineage.nodes import MAX_KEY

MAX_PARENTS = 1_000
"""Of one field of one card; merges of some hundred models exist."""
WORDS = {
    "finetune": Relation.FINE_TUNED_FROM,
    "quantized": Relation.QUANTIZED_FROM,
    "merge": Relation.MERGED_FROM,
    "adapter": Relation.ADAPTER_OF,
}
_REPOSITORY = late(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?\Z")
_REVISION = late(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_HUB = ("https://huggingface.co/", "http://huggingface.co/", "https://hf.co/", "hf://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a card told."""

    edges: tuple[Edge, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()
    """(code, what is wrong) for each part that could not be taken."""


def read_card(card: Mapping[str, Any], name: str = "", revision: str = "", statement: str = "") -> Told:
    """The card's edges. `name` and `revision` where they are known from its place; `statement`: the digest of its text."""
    reader = _Reader()
    inner = card.get("cardData")
    data = {**inner, **card} if isinstance(inner, dict) else card
    own = name or reader.text(data, "id") or reader.text(data, "modelId")
    sha = revision or reader.text(data, "sha")
    if not _REPOSITORY.match(own):
        return Told(problems=(*reader.problems, ("bad-card", "it names no repository of its own")))
    child = f"hf:{own}@{sha}" if _REVISION.match(sha) else f"hf:{own}"
    time = _seconds(reader.text(data, "lastModified"))
    pairs = dict.fromkeys((*_bases(data, reader), *_datasets(data, reader), *_tags(data, reader)))
    edges = [
        Edge(child, parent, relation, statement=statement, time=time) for parent, relation in pairs if parent
    ]
    if "@" in child:
        edges.append(Edge(f"hf:{own}", child, Link.NAMED, statement=statement, time=time))
    return Told(edges=tuple(edges), problems=tuple(reader.problems))


def node_of(text: str, kind: str = "") -> str:
    """The key of a name as cards write it; "" for none. `kind`: `datasets/` where it is a data set."""
    for prefix in _HUB:
        text = text.removeprefix(prefix)
    name, _, revision = text.strip().rstrip("/").removeprefix(kind or "\0").partition("@")
    if _REPOSITORY.match(name):
        return f"hf:{kind}{name}@{revision}" if _REVISION.match(revision) else f"hf:{kind}{name}"
    plain = "".join(char for char in text.strip() if char.isprintable())[: MAX_KEY - 5]
    return f"name:{plain}" if plain else ""


class _Reader:
    """Takes fields of the right types, and notes the others."""

    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []

    def text(self, data: Mapping[str, Any], key: str) -> str:
        value = data.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        self.problems.append(("bad-card", f'"{key}" is no text'))
        return ""

    def texts(self, data: Mapping[str, Any], key: str, most: int = MAX_PARENTS) -> list[str]:
        value = data.get(key)
        if value is None:
            return []
        rows = value if isinstance(value, list) else [value]
        if len(rows) > most:
            self.problems.append(
                ("limit-parents", f'"{key}" names {len(rows)}, and the first {most} are taken')
            )
        rows = rows[:most]
        wrong = sum(not isinstance(row, str) for row in rows)
        if wrong:
            self.problems.append(("bad-card", f'{wrong} of "{key}" are no text'))
        return [row for row in rows if isinstance(row, str)]


def _bases(data: Mapping[str, Any], reader: _Reader) -> Iterator[tuple[str, Relation]]:
    bases = reader.texts(data, "base_model")
    word = reader.text(data, "base_model_relation")
    if word and word not in WORDS:
        reader.problems.append(("bad-card", '"base_model_relation" is no relation that is known'))
    usual = Relation.MERGED_FROM if len(bases) > 1 else Relation.DERIVED_FROM
    for base in bases:
        yield node_of(base), WORDS.get(word, usual)


def _datasets(data: Mapping[str, Any], reader: _Reader) -> Iterator[tuple[str, Relation]]:
    for one in reader.texts(data, "datasets"):
        yield node_of(one, "datasets/"), Relation.TRAINED_ON


def _tags(data: Mapping[str, Any], reader: _Reader) -> Iterator[tuple[str, Relation]]:
    """Tags repeat what the fields say, in the hub's own words; one without a relation adds nothing to one that has it."""
    for tag in reader.texts(data, "tags", 10_000):
        kind, _, rest = tag.partition(":")
        word, colon, name = rest.partition(":")
        if kind == "base_model" and colon and word in WORDS:
            yield node_of(name), WORDS[word]
        elif kind == "base_model" and rest and data.get("base_model") is None:
            yield node_of(rest), Relation.DERIVED_FROM
        elif kind == "dataset" and rest:
            yield node_of(rest, "datasets/"), Relation.TRAINED_ON


def _seconds(text: str) -> int:
    try:
        time = datetime.fromisoformat(text) if text else None
    except ValueError:
        return 0
    return max(0, int(time.timestamp())) if time and time.tzinfo and time.year > 1970 else 0
