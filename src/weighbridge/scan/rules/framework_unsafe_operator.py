"""The rule `framework-unsafe-operator`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.scan.operators.framework import Effect, effect
from weighbridge.scan.operators.framework_views import views
from weighbridge.scan.rule import Rule


class FrameworkUnsafeOperator(Rule):
    """A model names an operator that runs code, opens files, or loads a library.

    ## What it does
    Compares the operators, layers and functions that a Paddle, MXNet, CNTK or Caffe model names with those that do more than
    compute: Paddle's `py_func`, `py_layer`, `load`, `save` and `read_file`, MXNet's `Custom` and `_Native`, the user-defined
    functions of CNTK, Caffe's `Python` layer. Operators of Paddle's custom dialect, those that MXNet does not have, and names
    that say that they run commands or load code are harm too: a library of somebody's own has to be loaded for them.

    ## Why is this bad?
    Running (with CNTK and Caffe: loading) the model then imports the module, loads the library or opens the file that the
    model names, with the rights of whoever uses it.

    ## Example
    ```text
    layer { type: "Python" python_param { module: "sample" layer: "Layer" } }
    ```

    ## Use instead
    Export the model for inference, with operators of the framework alone.

    ## Known problems
    Parts of a training program (saving a checkpoint) look the same. They do not belong into a published model.

    ## References
    - https://caffe.berkeleyvision.org/tutorial/layers/python.html
    - https://mxnet.apache.org/versions/1.9.1/api/python/docs/tutorials/extend/customop.html
    """

    name = "framework-unsafe-operator"
    summary = "an operator runs code, opens files or loads a library"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("paddle", "cntk", "caffe", "torch7", "json")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for view in views(reading):
            for call in view.calls:
                found, words = effect(view.family, call)
                if found is Effect.HARM or view.family == "cntk":
                    name = visible(call.name, 80)
                    where = replace(
                        place.inside(visible(call.where or f"operator {name}", 120)), offset=call.offset
                    )
                    yield self.finding(where, f"{name} {words or 'brings code of its own'}")
