"""The rule `framework-malformed`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.framework import FrameworkReading
from weighbridge.formats.reading import Anomaly, Reading
from weighbridge.scan.operators.framework_views import views
from weighbridge.scan.rule import Rule

BROKEN = frozenset(
    {
        "block-misfit", "count-overflow", "cycle", "duplicate-key", "duplicate-tensor", "index-out-of-range", "length-overflow",
        "nesting-too-deep", "offset-invalid", "out-of-file", "shape-overflow", "size-mismatch", "stream-broken",
        "structure-invalid", "too-many-dims", "type-invalid", "unpacks-too-large",
    }
)  # fmt: skip
DOUBTFUL = frozenset({"layout-unknown", "line-unknown", "magic-unusual", "unknown-field", "version-unknown"})


class FrameworkMalformed(Rule):
    """A model file of some framework contradicts its own format.

    ## What it does
    Holds every count, length, dimension, offset and index of the file against the file and against each other: nothing may
    lie behind the end, overflow, stand twice or lead out of its array, and trees must be trees. Looks at Paddle, MXNet,
    CNTK, Caffe, XGBoost (both forms), LightGBM, CatBoost, fastText, word2vec, R, old GGML, Torch7 and MATLAB files.

    ## Why is this bad?
    These files are parsed in C and C++ by code that believes them. A child that is none of the tree's nodes, a word that is
    longer than the file or a shape whose product overflows makes the loader or the predictor read and write foreign memory,
    or allocate until the machine stands still.

    ## Example
    An XGBoost tree of seven nodes whose first node has the child 1000000.

    ## Use instead
    Save the model again from where it was trained.

    ## Known problems
    A download that was cut off looks the same as tensors behind the end.

    ## References
    - https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
    - https://ubjson.org
    """

    name = "framework-malformed"
    summary = "the numbers of a framework's model file contradict the file"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = (
        "paddle", "paddle-params", "mxnet-params", "cntk", "caffe", "xgboost", "ubjson", "lightgbm", "catboost", "fasttext",
        "word2vec", "r", "r-lazy", "ggml", "torch7", "matlab", "json",
    )  # fmt: skip

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if isinstance(reading, FrameworkReading) or reading.format in ("r", "r-lazy"):
            yield from self.noted(reading, place, BROKEN)
            yield from self.noted(reading, place, DOUBTFUL, severity=Severity.WARNING, doubt=True)
            return
        for view in views(reading):
            for anomaly in view.anomalies:
                yield self.finding(_where(place, anomaly), anomaly.message)


def _where(place: Place, anomaly: Anomaly) -> Place:
    return replace(place.inside(anomaly.part) if anomaly.part else place, offset=anomaly.offset)
