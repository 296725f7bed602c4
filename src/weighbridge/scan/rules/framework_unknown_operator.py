"""The rule `framework-unknown-operator`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.scan.operators.framework import Effect, effect
from weighbridge.scan.operators.framework_views import views
from weighbridge.scan.rule import Rule


class FrameworkUnknownOperator(Rule):
    """A model names an operator that its framework does not have.

    ## What it does
    Compares the operators, layers, objectives and classes that a Paddle, MXNet, Caffe, XGBoost, LightGBM or Torch7 model
    names with those that the framework itself has.

    ## Why is this bad?
    Somebody's own library has to be loaded to run the model, and nobody can say from the model what that library does.

    ## Example
    ```text
    layer { type: "SampleLayer" }
    ```

    ## Use instead
    Operators of the framework; the model exported without its training code.

    ## Known problems
    Operators newer than paddle 3.3, mxnet 1.9, xgboost 3 and lightgbm 4 are reported, as are those that connect to other
    machines or hold a compiled engine.
    """

    name = "framework-unknown-operator"
    summary = "an operator, layer or class is none of its framework's own"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("paddle", "caffe", "xgboost", "lightgbm", "torch7", "json")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for view in views(reading):
            for call in view.calls:
                if effect(view.family, call)[0] is Effect.UNKNOWN:
                    name = visible(call.name, 80) or "without a name"
                    where = replace(
                        place.inside(visible(call.where or f"operator {name}", 120)), offset=call.offset
                    )
                    yield self.finding(where, f"{name} is none of {view.family}'s own", doubt=True)
