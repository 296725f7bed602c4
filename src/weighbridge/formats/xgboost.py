"""XGBoost models: UBJSON (`.ubj`), and what is wrong with a model in either of its two forms (the other is JSON).

`problems` looks at the trees as XGBoost's predictor uses them: arrays as long as the number of nodes, children inside the
tree and behind their parent, features below the model's number of them. The binary form of XGBoost before 1.0 is
recognised and not read. Schema: doc/model.schema of the xgboost project (3.x).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeGuard

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import text_part
from weighbridge.formats.framework import Call, ContradictionError, FrameworkReading, Text, trailing
from weighbridge.formats.opaque import suspicious
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading
from weighbridge.formats.ubjson import Ubjson

OLD = (b"binf", b"bs64", b"CONFIG-offset:")
NODE_ARRAYS = (
    "left_children", "right_children", "parents", "split_indices", "split_conditions", "default_left", "base_weights",
    "loss_changes", "sum_hessian", "split_type",
)  # fmt: skip
CATEGORY_ARRAYS = ("categories_nodes", "categories_segments", "categories_sizes")
MAX_PROBLEMS = 20
MAX_TEXTS = 10_000
MIN_PACKED = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class XgboostReading(FrameworkReading):
    """One model out of UBJSON."""

    value: Any = None
    """The document; typed arrays are `array.array`."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read a UBJSON document. `InputError`: `not-this-format`."""
    if source.read(0, 16).startswith(OLD):
        gap = Gap(code="opaque", message="XGBoost's binary format before 1.0 is recognised but not read")
        parts, found = suspicious(source, budget)
        return XgboostReading(
            format="xgboost", gaps=(gap,), parts=parts, texts=found, tensors_unlisted=gap.message
        )
    document = Ubjson(source, budget)
    try:
        value = document.value()
    except ContradictionError as error:
        if not source.read(0, 4096).count(b"learner") and not name.lower().endswith((".ubj", ".ubjson")):
            raise InputError("not-this-format", f"no UBJSON: {error.message}") from None
        return XgboostReading(format="ubjson", anomalies=(error.anomaly(),), gaps=(error.gap(),))
    return _reading(value, document, source.size)


def _reading(value: Any, document: Ubjson, size: int) -> Reading:
    doubled = [
        Anomaly(code="duplicate-key", message=f'the key "{key[:80]}" stands twice', offset=at)
        for key, at in document.doubled
    ]
    ours = is_model(value)
    found = list(texts(value))
    return XgboostReading(
        format="xgboost" if ours else "ubjson",
        value=value,
        anomalies=(*doubled[:MAX_PROBLEMS], *(problems(value) if ours else ())),
        gaps=trailing(document.end, size),
        parts=tuple(_packed(found)),
        calls=tuple(calls(value)) if ours else (),
        texts=tuple(found),
        tensors_unlisted="a model of trees holds no tensors" if ours else "",
    )


def _packed(found: list[Text]) -> Iterator[Part]:
    """Texts that are, or decode to, something that runs: attributes hold whatever a program put there."""
    for text in found:
        if len(text.value) > MIN_PACKED:
            part = text_part(text.value.encode("utf-8", "surrogateescape"), text.where)
            yield from (part,) if part is not None else ()


def is_model(value: Any) -> bool:
    """Whether a document is a model of XGBoost."""
    learner = value.get("learner") if isinstance(value, dict) else None
    return isinstance(learner, dict) and ("gradient_booster" in learner or "learner_model_param" in learner)


def calls(value: Any) -> Iterator[Call]:
    """Objective and booster, which XGBoost looks up by name."""
    learner = value["learner"]
    for key in ("objective", "gradient_booster"):
        part = learner.get(key)
        name = part.get("name") if isinstance(part, dict) else None
        if isinstance(name, str):
            yield Call(f"{key}:{name}", key)


def texts(value: Any) -> Iterator[Text]:
    """Every string of the document, keys included, with its path."""
    stack: list[tuple[str, Any]] = [("", value)]
    told = 0
    while stack and told < MAX_TEXTS:
        where, item = stack.pop()
        if isinstance(item, str):
            told += 1
            yield Text(item, where)
        elif isinstance(item, dict):
            for key, inner in item.items():
                if not key.isidentifier():
                    yield Text(key, where)
                stack.append((f"{where}.{key}"[:200], inner))
        elif isinstance(item, list):
            stack += [(where, inner) for inner in item]


def problems(value: Any) -> tuple[Anomaly, ...]:
    """What would make XGBoost read or write outside of its arrays; at most `MAX_PROBLEMS`."""
    found = []
    for problem in _problems(value):
        found.append(problem)
        if len(found) >= MAX_PROBLEMS:
            break
    return tuple(found)


def _problems(value: Any) -> Iterator[Anomaly]:
    learner = value["learner"]
    features = _integer(_at(learner, "learner_model_param", "num_feature"))
    booster = learner.get("gradient_booster")
    if not isinstance(booster, dict):
        yield Anomaly(code="structure-invalid", message="the model has no booster")
        return
    inner = booster.get("gbtree") if booster.get("name") == "dart" else booster
    model = inner.get("model") if isinstance(inner, dict) else None
    if not isinstance(model, dict):
        yield Anomaly(code="structure-invalid", message="the booster has no model")
        return
    trees = model.get("trees")
    if trees is not None:
        yield from _forest(model, trees, features)


def _forest(model: dict[str, Any], trees: Any, features: int | None) -> Iterator[Anomaly]:
    if not isinstance(trees, list):
        yield Anomaly(code="structure-invalid", message="the trees are no list")
        return
    told = _integer(_at(model, "gbtree_model_param", "num_trees"))
    if told is not None and told != len(trees):
        yield Anomaly(code="size-mismatch", message=f"{len(trees)} trees, and the model says {told}")
    info = model.get("tree_info")
    if _is_list(info) and len(info) != len(trees):
        yield Anomaly(code="size-mismatch", message=f"{len(info)} group numbers for {len(trees)} trees")
    yield from _iterations(model.get("iteration_indptr"), len(trees))
    for index, tree in enumerate(trees):
        if not isinstance(tree, dict):
            yield Anomaly(code="structure-invalid", message="it is no object", part=f"tree {index}")
        else:
            for code, message in _tree(tree, features):
                yield Anomaly(code=code, message=message, part=f"tree {index}")


def _iterations(starts: Any, trees: int) -> Iterator[Anomaly]:
    numbers = list(starts) if _is_list(starts) else []
    wrong = any(type(n) is not int or not 0 <= n <= trees for n in numbers)
    if wrong or any(a > b for a, b in pairwise(numbers)):
        yield Anomaly(code="index-out-of-range", message="a boosting round leads to trees that are not there")


def _tree(tree: dict[str, Any], features: int | None) -> Iterator[tuple[str, str]]:
    left, right = tree.get("left_children"), tree.get("right_children")
    if not _is_list(left) or not _is_list(right):
        yield "structure-invalid", "it has no children"
        return
    nodes = len(left)
    told = _integer(_at(tree, "tree_param", "num_nodes"))
    if told is not None and told != nodes:
        yield "size-mismatch", f"{nodes} nodes, and it says {told}"
    for key in NODE_ARRAYS:
        numbers = tree.get(key)
        if (
            _is_list(numbers)
            and len(numbers) not in (nodes, 0)
            and not (key == "base_weights" and _vector(tree))
        ):
            yield "size-mismatch", f"{key} holds {len(numbers)} numbers for {nodes} nodes"
    yield from _children(left, right, nodes)
    splits = tree.get("split_indices")
    if _is_list(splits) and features and any(not _index(n, features) for n in splits):
        yield "index-out-of-range", f"it asks for a feature that is none of the {features}"
    yield from _categories(tree, nodes)


def _vector(tree: dict[str, Any]) -> bool:
    """A tree with several outputs in a leaf has as many weights more."""
    return (_integer(_at(tree, "tree_param", "size_leaf_vector")) or 0) > 1


def _children(left: Sequence[Any], right: Sequence[Any], nodes: int) -> Iterator[tuple[str, str]]:
    seen: set[int] = set()
    for node, (one, other) in enumerate(zip(left, right, strict=False)):
        if one == -1:
            continue
        for child in (one, other):
            if not _index(child, nodes):
                yield "index-out-of-range", f"a child of node {node} is none of the {nodes} nodes"
                return
            if child == node or child == 0 or child in seen:
                yield "cycle", f"node {node} has a child that stands above it, or has another parent"
                return
            seen.add(child)


def _categories(tree: dict[str, Any], nodes: int) -> Iterator[tuple[str, str]]:
    where, starts, sizes = (tree.get(key) for key in CATEGORY_ARRAYS)
    numbers = tree.get("categories")
    if not (_is_list(where) and _is_list(starts) and _is_list(sizes) and _is_list(numbers)):
        return
    if not len(where) == len(starts) == len(sizes):
        yield "size-mismatch", "its lists of categories differ in length"
    ends = [
        a + b
        for a, b in zip(starts, sizes, strict=False)
        if type(a) is int and type(b) is int and min(a, b) >= 0
    ]
    if (
        len(ends) != len(starts)
        or any(end > len(numbers) for end in ends)
        or any(not _index(n, nodes) for n in where)
    ):
        yield "index-out-of-range", "its categories lead out of their list"


def _index(number: Any, count: int) -> bool:
    return type(number) is int and 0 <= number < count


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return hasattr(value, "__len__") and not isinstance(value, str | dict)


def _integer(value: Any) -> int | None:
    """XGBoost writes its parameters as strings."""
    if type(value) is int:
        return value
    try:
        return int(value) if isinstance(value, str) and len(value) < 20 else None
    except ValueError:
        return None


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
