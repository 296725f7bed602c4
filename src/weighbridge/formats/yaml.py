"""YAML 1.1 as a stream of events: the same tree of keys and values that JSON gives, and every tag with its line.

PyYAML's pure parser makes the events (`Reader`, `Scanner`, `Parser`; spec 1.1 chapter 3.1.2); nothing of it constructs a
value, so that no tag is ever obeyed. Aliases are unfolded and merge keys followed, within a bound, because loaders do so;
what unfolds beyond it is said to be a bomb. Both values of a doubled key are kept, as for JSON. What keys and tags mean
is the rules' business.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.json import JsonReading, Path, objects, templates
from weighbridge.formats.reading import Anomaly, Gap
from weighbridge.formats.text import bidi_anomalies, has_control

MAX_YAML = 1024**2
"""The pure parser reads about 100 kB a second; configs of models are far below this."""
MAX_NESTING = 64
MAX_NODES = 200_000
MAX_UNFOLDED = 50_000
"""Values that aliases may add to those that stand in the text."""
BOMB = 1_000_000
"""Unfolded values from which on nobody wrote this for a person or a program to read."""
MAX_SHOWN = 20_000
"""Values of a bomb that rules are shown."""
MAX_TAGS = 2_000
NAMESPACE = "tag:yaml.org,2002:"
_CORE = frozenset(
    NAMESPACE + name for name in ["str", "int", "float", "bool", "null", "map", "seq", "set", "omap", "pairs", "binary", "timestamp", "merge", "value", "yaml"]
)  # fmt: skip
_BOOLS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_INT = late(r"[-+]?[0-9][0-9_]{0,40}\Z")
_FLOAT = late(r"[-+]?([0-9][0-9_]{0,40})?\.?[0-9]{1,40}([eE][-+]?[0-9]{1,4})?\Z")


class YamlTag(NamedTuple):
    """One tag that is not one of the core schema's."""

    name: str
    """In full: `tag:yaml.org,2002:python/object/apply:os.system`, `!include`."""
    line: int
    value: str
    """The scalar that it stands in front of; "" for collections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlReading(JsonReading):
    """One document, or the list of all when the stream has several."""

    tags: tuple[YamlTag, ...] = ()
    documents: int = 1
    whole: bool = True
    """False where only part of the text was parsed; rules may then search it."""
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line (from 1) of the key or item at `path`, or of its nearest parent."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1


class _Node:
    """One node of the graph, before aliases are unfolded."""

    __slots__ = ("items", "kind", "line", "size", "value")

    def __init__(self, kind: str, line: int, value: Any = None) -> None:
        self.kind, self.line, self.value = kind, line, value
        self.items: list[_Node] = []
        self.size = 0
        """Values that unfolding it makes; 0 until known, -1 while it is being counted."""


def read(source: Source, budget: Budget, name: str) -> YamlReading:
    """Read the stream. Raises `InputError` (`not-this-format`) where it is no text at all."""
    text = _text(source, budget)
    if source.size > MAX_YAML:
        gap = Gap(code="limit-yaml", message=f"only the first {MAX_YAML} bytes of a YAML file are looked at")
        return YamlReading(format="yaml", value=None, text=text, whole=False, gaps=(gap,))
    stream = _Stream(budget)
    gaps = [stream.run(text)]
    tree = _Tree(budget)
    values = [tree.unfold(node, (index,)) for index, node in enumerate(stream.roots)]
    single = len(values) == 1
    value = values[0] if single else values
    lines = {path[1:]: line for path, line in tree.lines.items()} if single else tree.lines
    nodes = (*objects(value), *_beneath(tree.shadowed))
    return YamlReading(
        format="yaml",
        value=value,
        text=text,
        objects=nodes,
        anomalies=(*tree.anomalies(), *bidi_anomalies(text)),
        gaps=tuple(gap for gap in (*gaps, *tree.gaps) if gap is not None),
        parts=tuple(templates(nodes)),
        keep=True,
        tags=tuple(stream.tags),
        documents=len(values),
        whole=gaps == [None],
        lines=lines,
    )


def _beneath(shadowed: list[tuple[Path, dict[str, Any]]]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path, item in shadowed:
        yield from objects(item, path)


def _text(source: Source, budget: Budget) -> str:
    budget.need_memory(min(source.size, MAX_YAML) * 8, "a YAML document")
    data = source.read(0, MAX_YAML)
    codec = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    cut = source.size > MAX_YAML
    try:
        text = data.decode(codec, "ignore" if cut else "strict").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError("not-this-format", f"not {codec} text: {error.reason}") from None
    if has_control(text.replace("\x1b", "")):
        raise InputError("not-this-format", "control characters that text does not have")
    return text


@dataclass(slots=True)
class _Stream:
    """The events of one text, put together to graphs."""

    budget: Budget
    roots: list[_Node] = field(default_factory=list)
    tags: list[YamlTag] = field(default_factory=list)
    anchors: dict[str, _Node] = field(default_factory=dict)
    open: list[_Node] = field(default_factory=list)
    nodes: int = 0

    def run(self, text: str) -> Gap | None:
        """Take every event; the gap says where the parser, or the patience, ended."""
        from yaml import YAMLError

        try:
            for event in _events(text):
                self._take(event, type(event).__name__)
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f" in line {mark.line + 1}" if mark is not None else ""
            problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
            return Gap(code="bad-yaml", message=f"YAML cannot be parsed{where}: {problem[:200]}")
        except (ValueError, RecursionError) as error:
            return Gap(code="bad-yaml", message=f"YAML cannot be parsed: {str(error)[:200]}")
        except LimitError as error:
            if error.code == "limit-seconds":
                raise
            return Gap(code=error.code, message=error.message)
        return None

    def _take(self, event: Any, kind: str) -> None:
        if kind == "DocumentStartEvent":
            self.anchors.clear()
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            self.open.pop()
        elif kind == "AliasEvent":
            self._attach(self.anchors.get(event.anchor) or _unbound(event))
        elif kind in ("ScalarEvent", "SequenceStartEvent", "MappingStartEvent"):
            self._node(event, kind)

    def _node(self, event: Any, kind: str) -> None:
        self.nodes += 1
        if self.nodes % 1000 == 0:
            self.budget.tick()
        if self.nodes > MAX_NODES:
            raise LimitError("limit-yaml", f"more than {MAX_NODES} values")
        line = event.start_mark.line + 1
        if kind == "ScalarEvent":
            node = _Node("scalar", line, _scalar(event))
        else:
            node = _Node("list" if kind == "SequenceStartEvent" else "map", line)
        if event.tag and event.tag not in _CORE and event.tag != "!" and len(self.tags) < MAX_TAGS:
            value = event.value[:500] if kind == "ScalarEvent" else ""
            self.tags.append(YamlTag(event.tag, line, value))
        if event.anchor:
            self.anchors[event.anchor] = node
        self._attach(node)
        if kind != "ScalarEvent":
            self.open.append(node)
            if len(self.open) > MAX_NESTING:
                raise LimitError("limit-depth", f"nested deeper than {MAX_NESTING} levels")

    def _attach(self, node: _Node) -> None:
        (self.open[-1].items if self.open else self.roots).append(node)


def _events(text: str) -> Iterator[Any]:
    """PyYAML's events. The parser is built of its pure parts alone: there is no constructor behind it."""
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class Events(Reader, Scanner, Parser):
        def __init__(self, stream: str) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)

    parser: Any = Events(text)
    while parser.check_event():
        yield parser.get_event()


def _unbound(event: Any) -> _Node:
    raise ValueError(f'the alias "{event.anchor[:40]}" has no anchor')


def _scalar(event: Any) -> Any:
    """A plain scalar as YAML 1.1 resolves it; everything quoted is text."""
    text = event.value
    tag = event.tag or ""
    if tag and tag != "!" and not tag.endswith((":bool", ":null", ":int", ":float")):
        return text
    if not tag and not event.implicit[0]:
        return text
    if text.lower() in _BOOLS and len(text) <= 5:
        return _BOOLS[text.lower()]
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if _INT.match(text):
        return int(text.replace("_", ""))
    return float(text.replace("_", "")) if _FLOAT.match(text) else text


@dataclass(slots=True)
class _Tree:
    """Unfolds graphs to values, with a bound on what aliases may add."""

    budget: Budget
    lines: dict[Path, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    made: int = 0
    doubled: dict[str, None] = field(default_factory=dict)
    shadowed: list[tuple[Path, dict[str, Any]]] = field(default_factory=list)
    """What an earlier one of two equal keys had: loaders disagree which one counts."""
    cycles: bool = False
    bomb: int = 0
    deep: bool = False

    def unfold(self, root: _Node, path: Path) -> Any:
        size = _count(root)
        self.cycles = self.cycles or size < 0
        if size > BOMB:
            self.bomb = max(self.bomb, size)
        return self._value(root, path, ())

    def anomalies(self) -> Iterator[Anomaly]:
        for key in list(self.doubled)[:100]:
            yield Anomaly(code="duplicate-key", message=f'the key "{key[:100]}" stands twice in one mapping')
        if self.cycles:
            yield Anomaly(code="yaml-cycle", message="an alias stands inside what it stands for")
        if self.bomb:
            yield Anomaly(
                code="yaml-bomb", message=f"its aliases unfold to {min(self.bomb, 10**15):,} values or more"
            )

    def _value(self, node: _Node, path: Path, around: tuple[_Node, ...]) -> Any:
        self.made += 1
        if self.made % 1000 == 0:
            self.budget.tick()
        if node.kind == "scalar":
            self.lines.setdefault(path, node.line)
            return node.value
        if node in around:
            return None
        most = MAX_SHOWN if self.bomb else MAX_NODES + MAX_UNFOLDED
        if self.made > most or len(around) >= MAX_NESTING:
            self._stop(len(around) >= MAX_NESTING)
            return None
        self.lines.setdefault(path, node.line)
        inside = (*around, node)
        if node.kind == "list":
            return [self._value(item, (*path, index), inside) for index, item in enumerate(node.items)]
        return self._mapping(node, path, inside)

    def _mapping(self, node: _Node, path: Path, inside: tuple[_Node, ...]) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, item in zip(node.items[::2], node.items[1::2], strict=False):
            key = self._key(key_node, path, inside)
            here = (*path, key)
            if key in value:
                self.doubled[key] = None
                self.shadowed.append((path, {key: value.pop(key)}))
            self.lines[here] = key_node.line
            value[key] = self._value(item, here, inside)
        return _merged(value)

    def _key(self, node: _Node, path: Path, inside: tuple[_Node, ...]) -> str:
        if node.kind == "scalar":
            return node.value if isinstance(node.value, str) else str(node.value)
        inner = self._value(node, (*path, "?"), inside)
        return f"? {inner}"[:200]

    def _stop(self, deep: bool) -> None:
        code = "limit-depth" if deep else "limit-yaml"
        if not any(gap.code == code for gap in self.gaps):
            self.gaps.append(Gap(code=code, message="its aliases unfold to more than is looked at"))


def _merged(value: dict[str, Any]) -> dict[str, Any]:
    """With what `<<` brings in; own keys win, and `<<` stays for loaders that do not know it."""
    merge = value.get("<<")
    for inner in merge if isinstance(merge, list) else [merge]:
        if isinstance(inner, dict):
            for key, item in inner.items():
                value.setdefault(key, item)
    return value


def _count(root: _Node) -> int:
    """Values that unfolding makes, counted without unfolding; -1 where an alias stands inside itself."""
    cyclic = False
    stack: list[tuple[_Node, bool]] = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            node.size = 1 + sum(max(0, item.size) for item in node.items)
        elif node.size == 0:
            node.size = -1
            stack.append((node, True))
            stack += [(item, False) for item in node.items if item.size == 0]
            cyclic = cyclic or any(item.size == -1 for item in node.items)
    return -1 if cyclic and root.size < BOMB else root.size
