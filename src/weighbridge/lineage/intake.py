"""Take lineage in from files: cards and edges and bundles, one a line, or a folder of READMEs. Everything is counted.

A line is told by what stands in it: a bundle has `dsseEnvelope`, an edge has `child` and `parent`, a card has `id` or
`modelId`. Edges of a file are declared, whatever grade they give themselves, unless the caller says that the file is their
own. Nothing that a line holds ends the work: what cannot be taken is a problem with its place and its code.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from weighbridge.attest.attestation import Attestation
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError, UsageError
from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json
from weighbridge.lineage.cards import read_card
from weighbridge.lineage.edge import RELATIONS, Edge, Grade, Link
from weighbridge.lineage.feed import feed
from weighbridge.lineage.graph import Lineage
from weighbridge.lineage.nodes import check_key
from weighbridge.lineage.taking import Added
from weighbridge.sign.bundle import Bundle, read_line
from weighbridge.store import read_beside

MAX_LINE = 16 * 1024**2
MAX_CARD = 1024**2
"""Bytes of a README that are read; its front matter stands at the top."""
SHOWN = 20
"""Problems that are told one by one."""
PORTION = 2_000
"""Bundles that are judged before they are fed."""
_RELATIONS = {relation.value: relation for relation in RELATIONS}
_CACHED = late(r"models--(.+)/snapshots/([0-9a-f]{40})\Z")
_FENCE = late(rb"---[ \t]*\r?\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of what was given."""

    lines: int = 0
    """Lines and READMEs that were looked at."""
    cards: int = 0
    edges: int = 0
    """Lines that are an edge."""
    bundles: int = 0
    bare: int = 0
    """Cards that say nothing of where the model comes from."""
    lowered: int = 0
    """Edges that claimed a better grade than an unsigned file can give."""
    added: Added = Added()
    problems: tuple[tuple[str, str, str], ...] = ()
    """(place, code, what is wrong): the first of them."""
    counts: tuple[tuple[str, int], ...] = ()
    """(code, how many) of all problems, sorted."""


class Intake:
    """One import. `judge` says who signed a bundle; `own` takes the grades of edges as they stand."""

    def __init__(self, judge: Callable[[Bundle], Attestation], *, own: bool = False) -> None:
        self._judge, self._own = judge, own
        self._lines = self._cards = self._edges = self._bundles = self._bare = self._lowered = 0
        self._problems: list[tuple[str, str, str]] = []
        self._counts: Counter[str] = Counter()
        self._signed: list[Attestation] = []
        self._more = Added()

    def run(self, lineage: Lineage, paths: Iterable[Path]) -> Taken:
        """Take everything in. Raises `UsageError` (`no-such-path`, `unreadable`) and what `Lineage.add` raises."""
        places = list(paths)
        for path in places:
            if not path.exists():
                raise UsageError("no-such-path", f'there is nothing at "{visible(str(path))}"')
        added = lineage.add(edge for path in places for edge in self._path(lineage, path))
        self._feed(lineage)
        return Taken(
            lines=self._lines, cards=self._cards, edges=self._edges, bundles=self._bundles, bare=self._bare,
            lowered=self._lowered, added=added.plus(self._more), problems=tuple(self._problems),
            counts=tuple(sorted(self._counts.items())),
        )  # fmt: skip

    def _path(self, lineage: Lineage, path: Path) -> Iterator[Edge]:
        if not path.is_dir():
            yield from self._file(lineage, path)
            return
        for folder, inner, names in os.walk(path):
            inner.sort()
            here = Path(folder)
            for name in sorted(names):
                if name.lower() == "readme.md":
                    yield from self.readme(here / name, here.relative_to(path).as_posix())
                elif name.endswith(".jsonl"):
                    yield from self._file(lineage, here / name)

    def _file(self, lineage: Lineage, path: Path) -> Iterator[Edge]:
        if not path.is_file():
            self._problem(path.name, "not-a-file", "it is no regular file")
            return
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                place = f"{path.name}:{number}"
                if len(line) > MAX_LINE:
                    self._problem(place, "limit-json", f"the line has more than {MAX_LINE} bytes")
                    while line and not line.endswith(b"\n"):
                        line = file.readline(MAX_LINE)
                elif not line.isspace():
                    yield from self.line(line, place)
                if len(self._signed) >= PORTION:
                    self._feed(lineage)

    def line(self, line: bytes, place: str) -> Iterator[Edge]:
        """The edges of one line; a bundle is kept until the next portion is fed."""
        self._lines += 1
        try:
            value = _object(line)
            if "dsseEnvelope" in value:
                self._bundles += 1
                self._signed.append(self._judge(read_line(line, place)))
            elif "child" in value and "parent" in value:
                yield self._edge(value)
                self._edges += 1
            else:
                yield from self._card(value, place, hashlib.sha256(line.strip()).hexdigest())
        except (InputError, LimitError) as error:
            self._problem(place, error.code, error.message)

    def readme(self, path: Path, inside: str) -> Iterator[Edge]:
        """The edges of a README's front matter; its place says whose it is."""
        self._lines += 1
        shown = visible(f"{inside}/{path.name}", 200)
        try:
            data = read_beside(path, MAX_CARD) or b""
            value = front_matter(data)
            cached = _CACHED.search(inside)
            name, revision = (cached[1].replace("--", "/"), cached[2]) if cached else (inside, "")
            name = "" if name == "." else "/".join(name.split("/")[-2:])
            yield from self._card(value, shown, hashlib.sha256(data).hexdigest(), name, revision)
        except (InputError, LimitError, UsageError) as error:
            self._problem(shown, error.code, error.message)

    def _card(
        self, value: dict[str, Any], place: str, digest: str, name: str = "", revision: str = ""
    ) -> Iterator[Edge]:
        told = read_card(value, name, revision, f"sha256:{digest}")
        self._cards += 1
        self._bare += not any(edge.relation is not Link.NAMED for edge in told.edges)
        for code, why in told.problems:
            self._problem(place, code, why)
        yield from told.edges

    def _edge(self, value: dict[str, Any]) -> Edge:
        words = {key: value.get(key, "") for key in ("child", "parent", "relation", "issuer", "statement")}
        grade, time = value.get("grade", "declared"), value.get("time", 0)
        if not all(isinstance(one, str) and len(one) <= 1000 for one in words.values()):
            raise InputError("bad-edge", "a part of the edge is no text, or too long")
        if words["relation"] not in _RELATIONS or grade not in tuple(Grade):
            raise InputError("bad-edge", "its relation or its grade is none that is known")
        if type(time) is not int or not 0 <= time < 2**40:
            raise InputError("bad-edge", "its time is no number of seconds since 1970")
        check_key(words["child"])
        check_key(words["parent"])
        believed = Grade(grade) if self._own else Grade.DECLARED
        self._lowered += believed is not Grade(grade)
        issuer = words["issuer"] if self._own else ""
        relation = _RELATIONS[words["relation"]]
        return Edge(words["child"], words["parent"], relation, believed, issuer, words["statement"], time)

    def _feed(self, lineage: Lineage) -> None:
        fed = feed(lineage, self._signed)
        self._signed.clear()
        self._more = self._more.plus(fed.added)
        for place, code, why in fed.problems:
            self._problem(place, code, why)

    def _problem(self, place: str, code: str, why: str) -> None:
        self._counts[code] += 1
        if len(self._problems) < SHOWN:
            self._problems.append((visible(place, 200), code, visible(why, 300)))


def _object(line: bytes) -> dict[str, Any]:
    value = read_json(line, "the line", limit=MAX_LINE)
    if not isinstance(value, dict):
        raise InputError("bad-card", "the line is no object")
    return value


def front_matter(data: bytes) -> dict[str, Any]:
    """The YAML between the two fences at the top of a README; {} where there is none. Raises `InputError` (`bad-yaml`)."""
    from weighbridge.formats import yaml

    first = _FENCE.match(data.removeprefix(b"\xef\xbb\xbf"))
    body = data.removeprefix(b"\xef\xbb\xbf")[first.end() :] if first else b""
    end = min((at for at in (body.find(b"\n---"), body.find(b"\r\n---")) if at >= 0), default=-1)
    if first is None or end < 0:
        return {}
    reading = yaml.read(MemorySource(body[: end + 1]), Budget(Limits(seconds=20)), "README.md")
    if reading.gaps or any(one.code == "duplicate-key" for one in reading.anomalies):
        why = reading.gaps[0].message if reading.gaps else reading.anomalies[0].message
        raise InputError("bad-yaml", why)
    if reading.value is None:
        return {}
    if not isinstance(reading.value, dict):
        raise InputError("bad-yaml", "the front matter is no mapping")
    return reading.value
