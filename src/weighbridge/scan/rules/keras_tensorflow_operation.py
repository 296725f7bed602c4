"""The rule `keras-tensorflow-operation`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.json import JsonReading
from weighbridge.formats.keras import KerasObject, objects_in
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

WRAPPERS = frozenset({"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"})
"""Layers of Keras 2 that stand for a call of TensorFlow, which their configuration names."""
KEYS = ("function", "symbol", "cls_symbol", "cls_ref", "method_name", "attr_name")
HARM = frozenset(
    {
        "write_file", "read_file", "matching_files", "py_function", "py_func", "numpy_function", "eager_py_func", "load_library",
        "load_op_library", "load_file_system_library", "load_pluggable_device_library", "load", "save", "save_v2", "restore_v2",
        "restore", "write_graph", "import_graph_def", "experimental_connect_to_cluster", "experimental_connect_to_host",
        "print_v2", "debug_identity_v2", "immutable_const", "load_weights", "save_weights", "from_file", "gfile",
        "remove", "rmtree", "rename", "copy", "makedirs", "mkdir", "glob", "listdir", "walk", "GFile", "TFRecordWriter",
        "TextLineDataset", "TFRecordDataset", "FixedLengthRecordDataset", "CsvDataset", "SqlDataset", "list_files",
        "create_file_writer", "start_server", "enable_dump_debug_info", "get_file", "load_model", "load_from_saved_model",
    }
)  # fmt: skip
"""The last word of functions that leave the program."""
ARITHMETIC = late(
    r"(?:tf\.|tensorflow\.)?(?:compat\.v[12]\.)?(?:(?:math|nn|linalg|signal|image|strings|bitwise|random|sparse|ragged|dtypes|"
    r"__operators__|keras\.(?:backend|activations|ops))\.)[\w.]+\Z"
    r"|(?:tf\.|tensorflow\.)?(?:compat\.v[12]\.)?(?:abs|add|add_n|argmax|argmin|boolean_mask|broadcast_to|cast|clip_by_value|concat|constant|"
    r"convert_to_tensor|cos|cumsum|divide|einsum|equal|exp|expand_dims|eye|fill|floor|gather|gather_nd|greater|greater_equal|identity|"
    r"less|less_equal|logical_and|logical_not|logical_or|matmul|maximum|meshgrid|minimum|multiply|not_equal|one_hot|ones|ones_like|pad|"
    r"pow|range|rank|realdiv|reduce_all|reduce_any|reduce_max|reduce_mean|reduce_min|reduce_prod|reduce_sum|repeat|reshape|reverse|roll|"
    r"round|scatter_nd|shape|sigmoid|sign|sin|size|slice|sort|split|sqrt|square|squeeze|stack|stop_gradient|strided_slice|subtract|tanh|"
    r"tensordot|tile|transpose|truediv|unstack|where|zeros|zeros_like)\Z"
    r"|(?:shape|dtype|ndim|rank|numpy|get_shape|to_tensor|row_lengths|values|flat_values|nested_row_splits|from_row_splits)\Z"
)


class KerasTensorflowOperation(Rule):
    """
    ## What it does
    Looks at the layers with which Keras 2 writes down a call of TensorFlow (`TFOpLambda` and its kin). Functions that open
    files, call Python or load libraries are errors; in the configurations inside a SavedModel, functions that are not known
    to compute only are a doubt.

    ## Why is this bad?
    Keras looks the name up among TensorFlow's functions and calls it with the arguments that stand beside it, while the
    model is being loaded.

    ## Example
    ```json
    {"class_name": "TFOpLambda", "config": {"name": "w", "function": "io.write_file"}}
    ```

    ## Use instead
    Layers of Keras, or Keras 3, which has no such layer.

    ## Known problems
    The arguments of the call are not looked at.
    """

    name = "keras-tensorflow-operation"
    summary = "A Keras configuration calls a function of TensorFlow that leaves the program"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("json", "yaml", "keras-object")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, JsonReading):
            return
        for item in objects_in(reading):
            if item.class_name not in WRAPPERS:
                continue
            name = _called(item)
            where = replace(place, line=reading.line(item.path))
            if name.rpartition(".")[2] in HARM:
                yield self.finding(where, f'loading the model calls "{visible(name, 100)}" of TensorFlow')
            elif reading.format == "keras-object" and not ARITHMETIC.match(name):
                message = f'what "{visible(name, 100)}" of TensorFlow does is not known'
                yield self.finding(where, message, severity=Severity.WARNING, doubt=True)


def _called(item: KerasObject) -> str:
    """The function, or class and method, that the layer stands for."""
    config = item.config if isinstance(item.config, dict) else {}
    return ".".join(str(config[key]) for key in KEYS if isinstance(config.get(key), str))
