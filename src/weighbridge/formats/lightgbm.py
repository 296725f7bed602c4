"""LightGBM models as text (`save_model`, version 2 to 4): the header, every tree, and the tables behind them.

LightGBM cuts the text into trees by `tree_sizes`, and takes indexes of leaves, nodes and features from it; here these
are held against each other. Names and parameters (a record of the
training: no loader opens the files in it) are kept as texts for rules. The text is read at once.
"""

import re
from collections.abc import Iterator

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats.framework import Call, FrameworkReading, Text
from weighbridge.formats.reading import Anomaly, Reading

HEAD = 4096
MAX_PROBLEMS = 20
MAX_STRANGE = 5
VERSIONS = frozenset({"v2", "v3", "v4"})
HEADER_KEYS = frozenset(
    {
        "tree", "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective",
        "feature_names", "monotone_constraints", "feature_infos", "tree_sizes", "average_output", "linear_tree", "parser_config_str",
    }
)  # fmt: skip
TREE_KEYS = frozenset(
    {
        "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child",
        "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count", "is_linear", "leaf_const",
        "num_features", "leaf_features", "leaf_coeff", "shrinkage", "cat_boundaries", "cat_threshold",
    }
)  # fmt: skip
_KEY = late(r"([A-Za-z_]+)=(.*)")
_TABLE = late(r"feature[_ ]importances:$|[^=]*=[0-9.e+-]+$|pandas_categorical:(null|\[.*\])$")
_PARAMETER = late(r"\[([a-z0-9_]+): (.*)\]$")


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read one model. `InputError`: `not-this-format`."""
    budget.need_memory(source.size * 3, "a LightGBM model")
    budget.spend_bytes(source.size)
    try:
        text = source.read(0, source.size).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("not-this-format", "no text") from None
    head = text[:HEAD]
    if not head.startswith("tree") or "\nversion=v" not in head or "\nnum_class=" not in head:
        raise InputError("not-this-format", "no LightGBM model")
    return _Model(text, budget).reading()


class _Model:
    """The walk over one text, line by line."""

    def __init__(self, text: str, budget: Budget) -> None:
        self.text, self.budget = text, budget
        self.lines = text.split("\n")
        self.header: dict[str, str] = {}
        self.trees: list[dict[str, str]] = []
        self.starts: list[int] = []
        self.anomalies: list[Anomaly] = []
        self.texts: list[Text] = []
        self.ended = False

    def reading(self) -> FrameworkReading:
        """Header, trees, tables."""
        self._walk()
        if not self.ended:
            self._odd("out-of-file", "the text ends within its trees")
        self._header()
        for index, tree in enumerate(self.trees):
            self._tree(tree, f"Tree={index}")
        objective = self.header.get("objective", "").split()
        return FrameworkReading(
            format="lightgbm",
            anomalies=tuple(self.anomalies[:MAX_PROBLEMS]),
            calls=(Call(f"objective:{objective[0]}", "objective"),) if objective else (),
            texts=tuple(self.texts),
            tensors_unlisted="a model of trees holds no tensors",
        )

    def _odd(self, fact: str, message: str, part: str = "") -> None:
        if fact == "line-unknown" and sum(known.code == fact for known in self.anomalies) >= MAX_STRANGE:
            return
        self.anomalies.append(Anomaly(code=fact, message=message, part=part))

    def _walk(self) -> None:
        section, at = "header", 0
        for line in self.lines:
            stripped = line.rstrip("\r")
            if stripped.startswith("Tree=") and section in ("header", "trees"):
                section = "trees"
                self.trees.append({"Tree": stripped[5:]})
                self.starts.append(at)
            elif stripped == "end of trees" and section in ("header", "trees"):
                section, self.ended = "tables", True
            elif stripped == "parameters:" and section == "tables":
                section = "parameters"
            elif stripped == "end of parameters":
                section = "tables"
            elif stripped:
                self._line(section, stripped)
            at += len(line.encode("utf-8")) + 1

    def _line(self, section: str, line: str) -> None:
        if section == "parameters":
            match = _PARAMETER.match(line)
            if match is not None:
                self.texts.append(Text(match[2], f"parameter {match[1]}"))
            else:
                self._strange(section, line)
        elif section == "tables":
            self.texts.append(Text(line, "table behind the trees"))
            if not _TABLE.match(line):
                self._strange("table behind the trees", line)
        else:
            self._pair(section, line)

    def _strange(self, section: str, line: str) -> None:
        self._odd("line-unknown", f'the {section} says "{visible(line, 60)}"')
        self.texts.append(Text(line, section))

    def _pair(self, section: str, line: str) -> None:
        match = _KEY.match(line)
        known = HEADER_KEYS if section == "header" else TREE_KEYS
        if line in ("tree", "average_output") and section == "header":
            return
        if match is None or match[1] not in known:
            self._strange(section, line)
            return
        target = self.header if section == "header" else self.trees[-1]
        if match[1] in target:
            self._odd("duplicate-key", f"{match[1]} stands twice")
        target[match[1]] = match[2]
        if section == "header":
            self.texts.append(Text(match[2], match[1]))

    def _header(self) -> None:
        if self.header.get("version") not in VERSIONS:
            self._odd(
                "version-unknown", f'version "{visible(self.header.get("version", ""), 20)}" is not known'
            )
        top = _integer(self.header.get("max_feature_idx", ""))
        self.features = None if top is None else top + 1
        names = self.header.get("feature_names", "").split(" ") if "feature_names" in self.header else []
        if self.features is None or self.features < 1:
            self._odd("count-overflow", "the number of features is no number above zero")
        elif names and len(names) != self.features:
            self._odd("size-mismatch", f"{len(names)} feature names for {self.features} features")
        sizes = self.header.get("tree_sizes")
        if sizes is not None:
            self._sizes(sizes.split())

    def _sizes(self, words: list[str]) -> None:
        numbers = [_integer(word) for word in words]
        if len(numbers) != len(self.trees):
            self._odd("size-mismatch", f"{len(numbers)} tree sizes for {len(self.trees)} trees")
            return
        reached = self.starts[0] if self.starts else 0
        for index, (size, start) in enumerate(zip(numbers, self.starts, strict=True)):
            if start != reached and self.text[:200].count("\r\n") > 1:
                # Somebody's editor or Git changed the ends: LightGBM refuses such a file, which is no attack.
                self._odd("line-unknown", "the lines end in two characters, and the tree sizes count one")
                return
            if start != reached:
                self._odd("offset-invalid", "it does not begin where the tree sizes say", f"Tree={index}")
                return
            if size is None or size <= 0:
                self._odd("count-overflow", "its size is no number above zero", f"Tree={index}")
                return
            reached = start + size

    def _tree(self, tree: dict[str, str], part: str) -> None:
        self.budget.tick()
        leaves = _integer(tree.get("num_leaves", ""))
        if leaves is None or leaves < 1 or leaves > len(self.text):
            self._odd("count-overflow", f'num_leaves is "{visible(tree.get("num_leaves", ""), 30)}"', part)
            return
        lists = {key: len(tree[key].split()) for key in tree if key in _LENGTHS}
        for key, count in lists.items():
            wanted = leaves if _LENGTHS[key] == "leaves" else leaves - 1
            if count not in (wanted, 0):
                self._odd("size-mismatch", f"{key} holds {count} numbers where {wanted} belong", part)
        for message in self._indexes(tree, leaves):
            self._odd("index-out-of-range", message, part)

    def _indexes(self, tree: dict[str, str], leaves: int) -> Iterator[str]:
        inner = leaves - 1
        children = [
            _integer(word) for key in ("left_child", "right_child") for word in tree.get(key, "").split()
        ]
        if leaves > 1 and any(n is None or not -leaves <= n < inner for n in children):
            yield f"a child is none of {inner} nodes and {leaves} leaves"
        if leaves > 1 and _loops(children, inner):
            yield "a node is its own ancestor, or has two parents"
        features = [_integer(word) for word in tree.get("split_feature", "").split()]
        if self.features and any(n is None or not 0 <= n < self.features for n in features):
            yield f"it asks for a feature that is none of the {self.features}"
        yield from self._categories(tree)

    def _categories(self, tree: dict[str, str]) -> Iterator[str]:
        count = _integer(tree.get("num_cat", "0"))
        if not count:
            return
        bounds = [_integer(word) for word in tree.get("cat_boundaries", "").split()]
        words = len(tree.get("cat_threshold", "").split())
        numbers = [number for number in bounds if number is not None]
        if (
            count < 0
            or len(numbers) != count + 1
            or numbers != sorted(numbers)
            or numbers[0] != 0
            or numbers[-1] != words
        ):
            yield "its categories lead out of their list"


_LENGTHS = {
    **dict.fromkeys(("leaf_value", "leaf_weight", "leaf_count", "leaf_const", "num_features"), "leaves"),
    **dict.fromkeys(
        ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child"), "nodes"
    ),
    **dict.fromkeys(("internal_value", "internal_weight", "internal_count"), "nodes"),
}


def _loops(children: list[int | None], inner: int) -> bool:
    """Whether a node is reached twice, or the root at all."""
    below = [n for n in children if n is not None and n >= 0]
    return 0 in below or len(set(below)) != len(below)


def _integer(word: str) -> int | None:
    return int(word) if re.fullmatch(r"-?[0-9]{1,18}", word) else None
