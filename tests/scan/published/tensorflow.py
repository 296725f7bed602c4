"""TensorFlow, TensorFlow Lite and MXNet: models whose numbers attack the loader."""

import json

from tests.frameworkfiles import real
from tests.scan.published.row import Bypass, Cases, either, files
from tests.tensorflowfiles import (
    Table,
    call,
    entry,
    function,
    index,
    lite,
    model,
    node,
    number,
    operator_code,
)

MALFORMED, LITE = "tensorflow-malformed", "tflite-malformed"


def row(
    id_: str, also: str, product: str, affected: str, what: str, cases: Cases, rule: str = MALFORMED
) -> Bypass:
    return Bypass(
        id=id_,
        also=(also,) if also else (),
        product=product,
        affected=affected,
        what=what,
        rule=rule,
        cases=cases,
    )


X = node("x", "Placeholder")
CALLED = {0: ("I", 0), 1: [0], 2: [1]}
LOOP = Table({**CALLED, 3: ("B", 93), 4: Table({0: ("i", 0), 1: ("i", 0)})})
STRIDE = Table({**CALLED, 3: ("B", 1), 4: Table({0: ("b", 0), 1: ("i", 0), 2: ("i", 1)})})
SYMBOL = json.loads(real("mxnet-symbol.json"))


def saved(*models: bytes) -> Cases:
    return files("saved_model.pb", *models)


def lites(*models: bytes) -> Cases:
    return files("model.tflite", *models)


def symbol(op: str) -> bytes:
    nodes = [{**one, "op": op if one["op"] != "null" else "null"} for one in SYMBOL["nodes"]]
    return json.dumps({**SYMBOL, "nodes": nodes}).encode()


ROWS = (
    row(
        "CVE-2021-41203",
        "",
        "tensorflow",
        "<2.4.4; >=2.5,<2.5.2; >=2.6,<2.6.1",
        "the shapes of a checkpoint overflow",
        either(
            files(
                "v.index",
                index({"w": entry(1, [2**40, 2**40], 0, 8)}),
                index({"w": entry(1, [-2], 0, 8)}),
            ),
            saved(model(number("w", 1, [2**40, 2**40], b""))),
        ),
    ),
    row(
        "CVE-2022-21730",
        "",
        "tensorflow",
        "<2.5.3; >=2.6,<2.6.3; >=2.7,<2.7.1",
        "a constant is shorter than its shape says, and is read behind its end",
        saved(model(number("w", 1, [100], bytes(8))), model(number("w", 1, [-5], b""))),
    ),
    row(
        "CVE-2022-23591",
        "",
        "tensorflow",
        "<2.5.3; >=2.6,<2.6.3; >=2.7,<2.7.1",
        "a function that calls itself overflows the stack of the loader",
        saved(
            model(X, functions=[function("f", node("c", "PartitionedCall", "a", f=call("f")))]),
            model(
                X,
                functions=[
                    function("f", node("c", "g")),
                    function("g", node("c", "StatelessWhile", body=call("f"))),
                ],
            ),
        ),
    ),
    row(
        "CVE-2020-15211",
        "",
        "tensorflow lite",
        "<2.3.1",
        "an index of -1 that stands for nothing is used as one",
        lites(lite(outputs=[-2]), lite(inputs=[1000])),
        LITE,
    ),
    row(
        "CVE-2021-29591",
        "",
        "tensorflow lite",
        "<2.1.4; >=2.2,<2.4.2",
        "a graph that calls itself overflows the stack",
        lites(lite([operator_code(119)], operator=LOOP)),
        LITE,
    ),
    row(
        "CVE-2021-29592",
        "",
        "tensorflow lite",
        "<2.1.4; >=2.2,<2.4.2",
        "a shape that is no shape is a null pointer later",
        lites(lite(dims=[-4]), lite(dims=[100])),
        LITE,
    ),
    row(
        "CVE-2022-23557",
        "",
        "tensorflow lite",
        "<2.5.3; >=2.6,<2.6.3; >=2.7,<2.7.1",
        "a step of 0 divides by it",
        lites(lite([operator_code(3)], operator=STRIDE)),
        LITE,
    ),
    row(
        "CVE-2022-23561",
        "",
        "tensorflow lite",
        "<2.5.3; >=2.6,<2.6.3; >=2.7,<2.7.1",
        "numbers of a model make it write outside of its memory",
        lites(
            lite(dims=[2**31 - 1] * 4),
            lite(buffer=7),
            lite(extra={4: [Table(), Table({1: ("Q", 4096), 2: ("Q", 2**40)})]}),
        ),
        LITE,
    ),
    row(
        "CVE-2022-24294",
        "GHSA-xxj3-55p6-xg3h",
        "mxnet",
        "<1.9.1",
        "the name of an operator is held against an expression that never ends",
        files("m-symbol.json", symbol("<" * 5000), symbol("(" * 2000 + "a" * 2000)),
        "framework-unsafe-operator",
    ),
)
