"""Differences of graphs: what is said, and what renaming and reordering do not change."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tensorfiles import attribute, message, model, number, tensor
from weighbridge.cli.app import run
from weighbridge.core.artifact import Member
from weighbridge.core.graph import Graph, Node
from weighbridge.core.graphchanges import graph_changes
from weighbridge.core.source import MemorySource
from weighbridge.measure.graphs import GraphAnswer, graph_differences, graph_examiner


def op(kind: str, inputs: str, outputs: str, *rest: bytes, name: str = "") -> bytes:
    taken = [message(1, value) for value in inputs.split()]
    made = [message(2, value) for value in outputs.split()]
    return message(1, *taken, *made, message(3, name), message(4, kind), *rest)


def ends(*names: str, field: int) -> list[bytes]:
    return [message(field, message(1, name)) for name in names]


WEIGHT = tensor(5, "w", (2,), 1, message(9, bytes(8)))
PLAIN = [
    *ends("x", field=11), *ends("y", field=12), WEIGHT,
    op("MatMul", "x w", "h", name="mm"), op("Relu", "h", "r"), op("Softmax", "r", "y", attribute("axis", number(3, 1), number(20, 2))),
]  # fmt: skip


def read(data: bytes, path: str = "m.onnx") -> GraphAnswer:
    return graph_examiner()(Member(path, len(data)), MemorySource(data))


def graph(*parts: bytes) -> Graph:
    answer = read(model(*parts))
    assert answer.graph is not None, answer.why
    return answer.graph


def said(old: Graph, new: Graph) -> list[str]:
    found = graph_changes("m.onnx", old, new)
    return list(found.sentences) if found else []


def renamed(old: Graph, prefix: str = "v_") -> Graph:
    def each(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(prefix + name if name else "" for name in names)

    nodes = tuple(replace(n, name="", inputs=each(n.inputs), outputs=each(n.outputs)) for n in old.nodes)
    return replace(
        old, inputs=each(old.inputs), outputs=each(old.outputs), weights=each(old.weights), nodes=nodes
    )


def test_what_is_read() -> None:
    found = graph(*PLAIN)
    assert (found.inputs, found.outputs, found.weights, found.unused) == (("x",), ("y",), ("w",), ())
    assert found.nodes[0] == Node(op="MatMul", name="mm", inputs=("x", "w"), outputs=("h",))
    assert found.nodes[2].attributes == (("axis", "1"),)


def test_a_branch_on_the_input() -> None:
    inner = message(6, op("Neg", "r", "n"), *ends("n", field=12))
    trigger = [
        *PLAIN[:5],
        op("Equal", "x magic", "hit"),
        op("If", "hit", "s", message(5, message(1, "then_branch"), inner), name="gate"),
        op("Softmax", "s", "y", attribute("axis", number(3, 1), number(20, 2))),
        tensor(5, "magic", (2,), 1, message(9, bytes(8))),
    ]
    assert said(graph(*PLAIN), graph(*trigger)) == [
        'a comparison on the input was added: Equal "hit" depends on input "x"',
        'a branch on the input was added: If "gate" depends on input "x"',
        'operator Equal added once: "hit"',
        'operator If added once: "gate"',
        'operator Neg added once: "gate/then_branch/n"',
        'inputs changed: Softmax "y": number 0 was "r", is "s"',
    ]


def test_counts_attributes_inputs_operators() -> None:
    old = graph(*PLAIN)
    soft = op("Softmax", "r", "y", attribute("axis", number(3, 2**64 - 1), number(20, 2)))
    assert said(old, graph(*PLAIN[:5], soft)) == ['attribute changed: Softmax "y": axis was 1, is -1']
    assert said(old, graph(*PLAIN[:4], op("Sigmoid", "h", "r"), PLAIN[5])) == [
        'operator changed: "r" was Relu, is Sigmoid'
    ]
    more = [op("Add", f"r{i} w", f"r{i + 1}") for i in range(3)]
    longer = graph(*PLAIN[:4], op("Relu", "h", "r0"), *more, op("Identity", "r3", "r"), PLAIN[5])
    assert 'operator Add added 3 times: "r1", "r2", "r3"' in said(old, longer)
    assert 'operator Add removed 3 times: "r1", "r2", "r3"' in said(longer, old)


def test_inputs_and_outputs() -> None:
    old = graph(*PLAIN)
    assert said(old, graph(*PLAIN, *ends("secret", field=11), *ends("r", field=12))) == [
        'input "secret" added',
        'output "r" added',
    ]


def test_constants_are_weights() -> None:
    def filled(content: bytes) -> Graph:
        held = [
            op("Constant", "", f"c{i}", attribute("value", tensor(5, "", (2,), 1, message(9, content))))
            for i in range(5)
        ]
        return graph(*ends("x", field=11), *ends("y", field=12), *held, op("Sum", "x c0 c1 c2 c3 c4", "y"))

    assert said(filled(bytes(8)), filled(bytes([1] * 8))) == ["5 constants hold other values"]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_renaming_and_reordering_change_nothing(seed: int) -> None:
    """No node is added, removed or changed by giving every value another name, or by another order of equal meaning."""
    chance = random.Random(seed)
    nodes, values = [], ["x", "w"]
    for index in range(chance.randrange(1, 40)):
        inputs = tuple(chance.choice(values) for _ in range(chance.randrange(1, 3)))
        nodes.append(Node(op=chance.choice(("Add", "Relu", "Mul")), inputs=inputs, outputs=(f"n{index}",)))
        values.append(f"n{index}")
    old = Graph(inputs=("x",), outputs=(values[-1],), weights=("w",), nodes=tuple(nodes))
    found = graph_changes("m", old, renamed(old))
    assert found is not None
    assert (found.added, found.removed) == ((), ())
    shuffled = replace(old, nodes=tuple(chance.sample(nodes, len(nodes))))
    assert graph_changes("m", old, shuffled) is None


def test_one_change_in_a_renamed_graph_is_one_change() -> None:
    chain = [
        Node(op="Relu" if i % 3 else "Conv", inputs=(f"n{i - 1}" if i else "x",), outputs=(f"n{i}",))
        for i in range(200)
    ]
    old = Graph(inputs=("x",), outputs=("n199",), nodes=tuple(chain))
    new = renamed(old)
    changed = replace(new.nodes[100], attributes=(("alpha", "2"),))
    found = graph_changes("m", old, replace(new, nodes=(*new.nodes[:100], changed, *new.nodes[101:])))
    assert found is not None
    assert (found.added, found.removed, [after for _, after in found.changed]) == ((), (), [changed])


def test_unused_weights_and_functions() -> None:
    spare = tensor(5, "spare", (2,), 1, message(9, bytes(8)))
    assert graph(*PLAIN, spare).unused == ("spare",)
    twice = message(7, message(1, "a"), message(1, "a"), message(2, "b"), message(4, "Add"))
    function = message(25, message(1, "Twice"), message(10, "own"), message(4, "a"), message(5, "b"), twice)
    data = model(*PLAIN, extra=function)
    found = read(data).graph
    assert found is not None
    assert found.nodes[-1].inputs == ("function own.Twice/a",) * 2


KERAS = {
    "class_name": "Sequential",
    "config": {"name": "s", "layers": [
        {"class_name": "InputLayer", "config": {"name": "in"}},
        {"class_name": "Dense", "config": {"name": "d", "units": 3, "activation": "relu"}},
        {"class_name": "Dense", "config": {"name": "e", "units": 2}},
    ]},
}  # fmt: skip


def keras(text: str) -> Graph:
    found = read(text.encode(), "config.json").graph
    assert found is not None
    return found


def test_keras() -> None:
    text = json.dumps(KERAS)
    old = keras(text)
    assert [node.inputs for node in old.nodes] == [(), ("in",), ("d",)]
    assert said(old, keras(text.replace('"units": 3', '"units": 4'))) == [
        'attribute changed: Dense "d": units was 3, is 4'
    ]
    custom = {"class_name": "Lambda", "config": {"name": "l"}}
    layers = KERAS["config"]["layers"]  # type: ignore[index]
    longer = {**KERAS, "config": {"layers": [*layers[:2], custom, layers[2]]}}
    assert said(old, keras(json.dumps(longer))) == [
        'operator Lambda added once: "l"', 'inputs changed: Dense "e": number 0 was "d", is "l"',
    ]  # fmt: skip
    functional = {"class_name": "Functional", "config": {"layers": [
        {"class_name": "InputLayer", "name": "i", "config": {}, "inbound_nodes": []},
        {"class_name": "Add", "name": "a", "config": {}, "inbound_nodes": [[["i", 0, 0, {}], ["i", 1, 0, {}]]]},
        {"class_name": "Dense", "name": "d", "config": {}, "inbound_nodes": [
            {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["a", 0, 0]}}], "kwargs": {}}]},
    ], "input_layers": [["i", 0, 0]], "output_layers": [["d", 0, 0]]}}  # fmt: skip
    found = keras(json.dumps(functional))
    assert (found.inputs, found.outputs, [n.inputs for n in found.nodes]) == (
        ("i",),
        ("d",),
        [(), ("i",), ("a",)],
    )


@pytest.mark.parametrize(
    "path",
    sorted((Path(__file__).parents[1] / "formats" / "tensorflow").glob("*.tflite")),
    ids=lambda p: p.name,
)
def test_tflite_files_have_a_graph(path: Path) -> None:
    answer = read(path.read_bytes(), path.name)
    assert answer.graph is not None, answer.why
    found = graph_changes("m", answer.graph, renamed(answer.graph))
    assert found is None or (found.added, found.removed) == ((), ())


def test_files_without_a_graph() -> None:
    assert read(b"{}", "config.json") == GraphAnswer(path="config.json")
    assert read(b"weights", "model.bin") == GraphAnswer(path="model.bin")
    broken = read(model(*PLAIN)[:-3], "m.onnx")
    assert broken.graph is None
    assert broken.why


@settings(max_examples=80, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from(["m.onnx", "m.tflite", "config.json", "m.keras"]),
    st.integers(0, 300),
)
def test_hostile_files_never_raise(data: bytes, path: str, at: int) -> None:
    """Bytes by chance, and a sound model with bytes changed."""
    sound = model(*PLAIN)
    for bytes_ in (data, sound[:at] + data[:5] + sound[at + 5 :], b"\x1c\0\0\0TFL3" + data):
        answer = read(bytes_, path)
        if answer.graph is not None:
            said(graph(*PLAIN), answer.graph)


def test_a_single_graph_under_another_name_is_compared() -> None:
    one, other = graph(*PLAIN), graph(*PLAIN[:4], op("Tanh", "h", "r"), PLAIN[5])
    assert [d.path for d in graph_differences({"a.onnx": one}, {"b.onnx": other})] == ["b.onnx"]
    assert graph_differences({"a.onnx": one, "c.onnx": one}, {"b.onnx": other}) == ()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, relu in (("old", "Relu"), ("new", "Tanh")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.onnx").write_bytes(model(*PLAIN[:4], op(relu, "h", "r"), PLAIN[5]))
    assert run(["diff", str(tmp_path / "old"), str(tmp_path / "new"), "--format", "json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["changed"] == ["m.onnx"]
    (found,) = body["graphs"]
    assert found["sentences"] == ['operator changed: "r" was Relu, is Tanh']
    assert found["changed"][0]["new"] == {
        "op": "Tanh",
        "name": "",
        "scope": "",
        "inputs": ["h"],
        "outputs": ["r"],
        "attributes": {},
    }
    assert body["graphs_unread"] == []
    assert run(["diff", str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    assert 'graph    m.onnx: operator changed: "r" was Relu, is Tanh' in capsys.readouterr().out
