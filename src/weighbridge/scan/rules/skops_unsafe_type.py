"""The rule `skops-unsafe-type`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading
from weighbridge.formats.reading import Reading
from weighbridge.formats.skops import Node, is_schema, nodes
from weighbridge.scan.config_targets import harm
from weighbridge.scan.rule import Rule

_BUILTINS = frozenset(
    [
        "dict",
        "list",
        "tuple",
        "set",
        "frozenset",
        "str",
        "int",
        "float",
        "bool",
        "complex",
        "bytes",
        "bytearray",
        "slice",
        "type",
        "NoneType",
        "range",
        "object",
    ]
)
_TRUSTED = late(
    r"(sklearn(\.\w+)*\.(_?[A-Z]\w*|make_column_selector|__pyx_unpickle_\w+|f_classif|f_regression|chi2|mutual_info_\w+|_?[a-z]\w*_(score|loss|error|distance))"
    r"|numpy(\.\w+)*\.(ndarray|generic|number|integer|signedinteger|unsignedinteger|inexact|floating|complexfloating|character|flexible|object_|datetime64|timedelta64|dtype|bool_?|u?int\d+|float\d+|complex\d+|str_|bytes_|matrix|RandomState|Generator|MT19937|PCG64\w*|MaskedArray"
    r"|log1?p?|log2|log10|exp|expm1|sqrt|square|abs|absolute|sin|cos|tan|tanh|mean|median|sum|std|var|max|min|rint|round|sign|multiply|add|subtract|divide)"
    r"|scipy\.(sparse|special|interpolate|stats|spatial)(\.\w+)*\.\w+|collections\.(OrderedDict|defaultdict|Counter|deque|namedtuple)"
    r"|functools\.partial|datetime\.(date|datetime|timedelta|time|timezone)|decimal\.Decimal|xgboost\.(sklearn|core)\.[A-Z]\w*|lightgbm\.(sklearn|basic)\.[A-Z]\w*"
    r"|catboost\.core\.[A-Z]\w*|quantile_forest\.\w+(\.\w+)*|imblearn(\.\w+)*\.[A-Z]\w*)\Z"
)
"""Types whose making by skops runs nothing but their own constructors and state."""
_PLAIN = frozenset(
    ["DictNode", "DefaultDictNode", "OrderedDictNode", "ListNode", "SetNode", "TupleNode", "JsonNode", "BytesNode", "BytearrayNode", "SliceNode", "NdArrayNode", "MaskedArrayNode", "RandomStateNode", "RandomGeneratorNode", "SparseMatrixNode", "DTypeNode"]
)  # fmt: skip
"""Loaders of plain data: a type of another kind under them is never asked for by the audit."""
_LOADERS = _PLAIN | frozenset(
    ["ObjectNode", "TypeNode", "FunctionNode", "PartialNode", "MethodNode", "OperatorFuncNode", "ReduceNode", "TreeNode", "LossNode", "SGDNode", "CachedNode", "QuantileForestNode", "DatetimeNode", "TimedeltaNode", "UfuncNode", "BuiltinNode"]
)  # fmt: skip
_DATA_TYPES = late(
    r"(builtins|collections|numpy(\.\w+)*|scipy\.sparse(\.\w+)*|sklearn(\.\w+)*|functools|datetime|decimal|types|json)\Z"
)
_KINDS = frozenset(
    [
        "function",
        "builtin_function_or_method",
        "method",
        "type",
        "ufunc",
        "partial",
        "_ArrayFunctionDispatcher",
    ]
)
"""What a function or type is an instance of; its own name stands in the content."""
_OPERATORS = frozenset(
    (
        "itemgetter",
        "add",
        "sub",
        "mul",
        "truediv",
        "neg",
        "pos",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "and_",
        "or_",
        "not_",
    )
)
_REACHES = frozenset(("methodcaller", "call", "setitem", "delitem"))
MAX_FINDINGS = 50


class SkopsUnsafeType(Rule):
    """
    ## What it does
    Reads the nodes of a skops file's `schema.json`: which loader builds which type, and which functions and methods are
    looked up. Types and functions that reach the system are errors, and so are nodes whose loader does not fit their type.
    Estimators of scikit-learn, arrays of numpy and scipy, and plain data are harmless; all else is undecided.

    ## Why is this bad?
    `skops.io.load` imports these names. Its list of trusted types has been left by nodes that say one thing to the audit
    and another to the loader.

    ## Example
    ```json
    {"__class__": "call", "__module__": "builtins", "__loader__": "OperatorFuncNode", "content": {}}
    ```

    ## Use instead
    Estimators of published libraries, dumped with a current skops.

    ## Known problems
    Types of one's own packages are undecided, as skops asks about them too.

    ## References
    - CVE-2024-37065, CVE-2025-54412 (OperatorFuncNode), CVE-2025-54413 (MethodNode), CVE-2025-54886 (files that are no zip)
    """

    name = "skops-unsafe-type"
    summary = "a skops file makes its loader build what is not known to be harmless"
    severity = Severity.ERROR
    formats = ("json",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Fifty findings a file at most; the worst come first."""
        if not isinstance(reading, JsonReading) or not is_schema(
            reading, place.parts[-1] if place.parts else place.path
        ):
            return
        judged = [(node, *_judge(node)) for node in nodes(reading)]
        told = [(node, what, error) for node, what, error in judged if what]
        for node, what, error in sorted(told, key=lambda item: not item[2])[:MAX_FINDINGS]:
            where = replace(place, line=reading.line(node.path))
            if error:
                yield self.finding(where, what)
            else:
                yield self.finding(where, what, severity=Severity.WARNING, doubt=True)


def _judge(node: Node) -> tuple[str, bool]:
    """(what is wrong with the node, whether it is harm); `("", False)` for harmless ones."""
    name = f"{node.module}.{node.type_name}"
    if node.loader == "OperatorFuncNode":
        return _operator(node)
    own = () if node.type_name in _KINDS else ((node.module, node.type_name),)
    for module, function in (*own, *node.names):
        what = "" if _plain(module, function) else harm(f"{module}.{function}" if module else function)
        if what:
            return f"{node.loader} builds {module}.{function}, which {what}", True
    if node.loader == "MethodNode" and node.method:
        if node.method.startswith("__") or harm(node.method):
            return f"MethodNode reaches for {node.method}", True
        return f"MethodNode takes the method {node.method} of an object", False
    if node.loader in _PLAIN and node.type_name and not _DATA_TYPES.match(node.module):
        return f"{node.loader} is no loader for {name}: the audit is not asked about it", True
    if "__" in node.module or ("__" in node.type_name and not _TRUSTED.match(name)):
        return f"{node.loader} builds {name}, inside the interpreter", True
    if node.loader and node.loader not in _LOADERS:
        return f"the loader {node.loader[:60]} is not known", False
    pairs = [*(own if node.loader not in _PLAIN else ()), *node.names]
    unknown = [
        f"{module}.{type_name}"
        for module, type_name in pairs
        if type_name and not _trusted(module, type_name)
    ]
    return (f"{node.loader} builds {unknown[0][:150]}, which is not known", False) if unknown else ("", False)


def _operator(node: Node) -> tuple[str, bool]:
    if node.module not in ("operator", "_operator"):
        return f"OperatorFuncNode builds {node.module}.{node.type_name}, which is no operator", True
    if node.type_name in _REACHES:
        return f"OperatorFuncNode builds operator.{node.type_name}, which calls or reaches by name", True
    return ("", False) if node.type_name in _OPERATORS else (f"operator.{node.type_name} is not known", False)


def _plain(module: str, type_name: str) -> bool:
    """`object` itself, as a type of columns: making one does nothing, whatever else hangs on its name."""
    return (module, type_name) == ("builtins", "object")


def _trusted(module: str, type_name: str) -> bool:
    if module in ("builtins", "types", ""):
        return type_name in _BUILTINS
    return _TRUSTED.match(f"{module}.{type_name}") is not None
