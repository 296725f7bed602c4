"""Readers of TensorFlow's formats: graphs, checkpoints, flatbuffers and scripts of data, down to bytes and tensors."""

import contextlib
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tensorflowfiles import (
    REAL,
    Table,
    entry,
    field,
    function,
    graph,
    index,
    lite,
    model,
    node,
    number,
    operator_code,
    shape,
    string,
    text,
)
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource, Source
from weighbridge.formats import candidates, jsdata, tflite
from weighbridge.formats.json import read as read_json
from weighbridge.formats.reading import Reading, TensorRef
from weighbridge.formats.tensorflow import checkpoint as tfcheckpoint
from weighbridge.formats.tensorflow import savedmodel, tfjs, tfjs_graph
from weighbridge.formats.tensorflow.graph import GraphReading

LIMITS = Limits(bytes=8 * 1024**2, depth=6, members=20_000, seconds=10, memory=8 * 1024**2)


def saved(data: bytes, name: str = "saved_model.pb") -> GraphReading:
    reading = savedmodel.read(MemorySource(data), Budget(), name)
    assert isinstance(reading, GraphReading)
    return reading


def content(ref: TensorRef, data: bytes) -> bytes:
    source: Source = ref.source or MemorySource(data)
    return b"".join(source.read(offset, length) for offset, length in ref.spans)


def listed(reading: Reading, data: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    assert reading.tensors is not None, reading.tensors_unlisted
    return {ref.name: (ref.dtype, ref.shape, content(ref, data)) for ref in reading.tensors}


# -- which reader


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (model(node("x", "Relu")), "m", "tensorflow"),
        (graph(node("x", "Relu")), "m", "tensorflow"),
        (b"node { name: 'x' }", "m", "tensorflow"),
        (b"anything", "frozen.pb", "tensorflow"),
        (lite(), "m", "tflite"),
        (b"anything", "m.tflite", "tflite"),
        (index({}), "m", "tf-checkpoint"),
        (b'model_checkpoint_path: "m"', "m", "tf-checkpoint"),
    ],
)
def test_content_or_name_leads_to_the_reader(data: bytes, name: str, expected: str) -> None:
    assert expected in candidates(MemorySource(data), name)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ((REAL / "plain/saved_model.pb").read_bytes(), "SavedModel"),
        ((REAL / "tf1/model.ckpt-3.meta").read_bytes(), "MetaGraph"),
        ((REAL / "tf1/frozen.pb").read_bytes(), "Graph"),
        (b"\x08\x07\x12\x04test", ""),
        (b"\x0a\x03abc", ""),
        (b"", ""),
    ],
)
def test_messages_are_told_by_their_fields(data: bytes, kind: str) -> None:
    assert savedmodel.message_kind(MemorySource(data), Budget()) == kind


# -- graphs


def test_everything_in_a_real_model_is_known() -> None:
    reading = saved((REAL / "vocabulary/saved_model.pb").read_bytes())
    (program,) = reading.programs
    assert (reading.anomalies, reading.gaps) == ((), ())
    assert [asset.filename for asset in program.assets] == ["vocab.txt"]
    assert program.savers == ("saver_filename:0",)
    assert program.graphs[0].name == ""
    initializer = next(graph for graph in program.graphs if "initializer" in graph.name)
    assert initializer.arguments[0] == "text_file_init_asset_filepath"


def test_the_text_form_gives_the_same_graph_as_the_bytes() -> None:
    made = saved((REAL / "tf1/graph.pbtxt").read_bytes(), "graph.pbtxt").programs[0].graphs[0]
    real = saved((REAL / "tf1/model.ckpt-3.meta").read_bytes(), "m.meta").programs[0].graphs[0]
    assert [node[:6] for node in made.nodes] == [node[:6] for node in real.nodes]


def test_text_escapes_lists_and_numbers_mean_what_protobuf_says() -> None:
    data = (
        b"node { name: 'a\\x62\\143\\n' \"d\" op: \"Const\" attr: < key: 'value' value { tensor { dtype: DT_FLOAT "
        b"tensor_shape { dim { size: 0x2 } dim: {size: 1} } float_val: [1.5, -2e0f] } } > }"
    )
    (only,) = saved(data, "g.pbtxt").programs[0].graphs[0].nodes
    assert (only.name, only.op) == ("abc\nd", "Const")


@pytest.mark.parametrize(
    "data", [b"node { name: ", b"node { op: 'x' } }", b"node { op: @ }", b"node { op: 'a' name: [{}] }"]
)
def test_broken_text_is_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        saved(data, "g.pbtxt")
    assert caught.value.code == "bad-textproto"


def test_functions_have_names_arguments_and_results() -> None:
    inside = function("f", node("n", "Relu", "a"), arguments=["a", "b"], results={"out": "n:y:0"})
    found = saved(model(node("x", "f"), functions=[inside])).programs[0].graphs[1]
    assert (found.name, found.arguments, found.results) == ("f", ("a", "b"), ("n:y:0",))
    assert found.nodes[0].inputs == ("a",)


# -- constants as tensors


def test_constants_are_listed_where_their_bytes_lie() -> None:
    data = graph(number("w", 1, [2, 1], struct.pack("<2f", 1, 2)), number("v", 9, [1], struct.pack("<q", -5)))
    assert listed(saved(data), data) == {
        "w": ("F32", (2, 1), struct.pack("<2f", 1, 2)),
        "v": ("I64", (1,), struct.pack("<q", -5)),
    }


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (1, b"\x2d" + struct.pack("<f", 7), struct.pack("<4f", 7, 7, 7, 7)),
        (1, b"\x2a\x08" + struct.pack("<2f", 1, 2), struct.pack("<4f", 1, 2, 2, 2)),
        (1, b"\x2a\x10" + struct.pack("<4f", 1, 2, 3, 4), struct.pack("<4f", 1, 2, 3, 4)),
        (3, b"\x3a\x02\x01\x02", struct.pack("<4i", 1, 2, 2, 2)),
        (3, field(7, 2**64 - 3), struct.pack("<4i", -3, -3, -3, -3)),
        (9, b"\x52\x01\x09", struct.pack("<4q", 9, 9, 9, 9)),
        (10, b"\x5a\x01\x01", b"\1\1\1\1"),
        (19, field(13, 0x3C00), b"\x00\x3c" * 4),
        (8, b"\x4a\x08" + struct.pack("<2f", 1, 2), struct.pack("<8f", 1, 2, 1, 2, 1, 2, 1, 2)),
        (1, b"", bytes(16)),
    ],
)
def test_numbers_one_by_one_fill_the_shape_as_tensorflow_does(
    dtype: int, values: bytes, expected: bytes
) -> None:
    tensor = field(1, dtype) + field(2, shape(4)) + values
    data = graph(node("w", "Const", value=field(8, tensor)))
    assert listed(saved(data), data)["w"][2] == expected


def test_a_large_constant_of_one_number_is_not_written_out() -> None:
    tensor = field(1, 1) + field(2, shape(2**20)) + b"\x2d" + struct.pack("<f", 7)
    reading = saved(graph(node("w", "Const", value=field(8, tensor))))
    assert (reading.tensors, reading.tensors_left) == (
        None,
        (("w", "its numbers are not written out in the file"),),
    )


def test_constants_of_one_name_get_numbers() -> None:
    one = number("w", 4, [1], b"\1")
    reading = saved(graph(one, one))
    assert [ref.name for ref in reading.tensors or ()] == ["w", "w#2"]


def test_a_deep_message_ends_with_a_gap() -> None:
    body = b""
    for _ in range(200):
        body = field(10, field(1, "f") + field(2, field(1, "k") + field(2, body)))
    reading = saved(model(node("x", "Relu", deep=body)))
    assert [gap.code for gap in reading.gaps] == ["nesting-too-deep"]


# -- checkpoints


def test_the_variables_of_a_real_checkpoint() -> None:
    data = (REAL / "plain/variables/variables.index").read_bytes()
    reading = tfcheckpoint.read(MemorySource(data), Budget(), "variables/variables.index")
    shard = (REAL / "plain/variables/variables.data-00000-of-00001").read_bytes()
    assert reading.externals == ("variables.data-00000-of-00001",)
    assert {ref.external for ref in reading.tensors or ()} == {"variables.data-00000-of-00001"}
    assert listed(reading, shard) == {
        "w/.ATTRIBUTES/VARIABLE_VALUE": ("F32", (2, 3), struct.pack("<6f", 0, 1, 2, 3, 4, 5)),
        "b/.ATTRIBUTES/VARIABLE_VALUE": ("F32", (3,), bytes(12)),
    }


def test_big_endian_checkpoints_say_so() -> None:
    from tests.tensorflowfiles import table

    data = table([(b"", field(1, 1) + field(2, 1)), (b"w", entry(1, [2], 0, 8))])
    (ref,) = tfcheckpoint.read(MemorySource(data), Budget(), "w.index").tensors or ()
    assert ref.swap


def test_a_table_of_another_program_is_not_a_checkpoint() -> None:
    from tests.tensorflowfiles import table

    with pytest.raises(InputError) as caught:
        tfcheckpoint.read(MemorySource(table([(b"key", b"value")])), Budget(), "000005.ldb")
    assert caught.value.code in ("not-this-format", "bad-protobuf")


# -- TensorFlow Lite


def test_the_weights_of_a_real_lite_model() -> None:
    data = (REAL / "plain.tflite").read_bytes()
    reading = tflite.read(MemorySource(data), Budget(), "plain.tflite")
    assert isinstance(reading, tflite.TfliteReading)
    assert {operator.name for operator in reading.operators} == {"FULLY_CONNECTED"}
    assert struct.pack("<6f", 0, 3, 1, 4, 2, 5) in [found[2] for found in listed(reading, data).values()]


def test_the_end_of_every_real_lite_model_is_found() -> None:
    for path in REAL.glob("*.tflite"):
        reading = tflite.read(MemorySource(path.read_bytes()), Budget(), path.name)
        assert (reading.anomalies, reading.gaps) == ((), ()), path


@pytest.mark.parametrize("cut", range(1, 400, 7))
def test_a_cut_model_never_passes_unnoticed(cut: int) -> None:
    whole = lite()
    reading = tflite.read(MemorySource(whole[: max(8, len(whole) - cut)]), Budget(), "m.tflite")
    assert reading.anomalies
    assert reading.gaps


def test_one_object_referred_to_by_many_is_counted() -> None:
    code = operator_code(0)
    whole = bytearray(lite([code] * 4))
    assert len(tflite.read(MemorySource(bytes(whole)), Budget(), "m").operators) == 4  # type: ignore[attr-defined]


def test_large_buffers_behind_the_flatbuffer_belong_to_it() -> None:
    probe = lite(extra={4: [Table(), Table({1: ("Q", 9), 2: ("Q", 8)})]})
    whole = lite(extra={4: [Table(), Table({1: ("Q", len(probe)), 2: ("Q", 8)})]}) + struct.pack("<2f", 1, 2)
    reading = tflite.read(MemorySource(whole), Budget(), "m.tflite")
    assert reading.gaps == ()
    assert listed(reading, whole)["w"][2] == struct.pack("<2f", 1, 2)


# -- TensorFlow.js


def test_the_weights_of_a_group_stand_behind_each_other() -> None:
    weights = [
        {
            "name": "a",
            "shape": [3],
            "dtype": "float32",
            "quantization": {"dtype": "uint8", "scale": 1, "min": 0},
        },
        {"name": "b", "shape": [], "dtype": "int32"},
    ]
    document = json.dumps({"weightsManifest": [{"paths": ["w.bin"], "weights": weights}]}).encode()
    reading = read_json(MemorySource(document), Budget(), "model.json")
    assert reading.externals == ("w.bin",)
    assert [(ref.name, ref.dtype, ref.shape, ref.spans, ref.external) for ref in reading.tensors or ()] == [
        ("a", "U8", (3,), ((0, 3),), "w.bin"),
        ("b", "I32", (), ((3, 4),), "w.bin"),
    ]


def test_weights_over_several_shards_are_not_listed() -> None:
    value = {
        "weightsManifest": [{"paths": ["a", "b"], "weights": [{"name": "w", "shape": [1], "dtype": "int32"}]}]
    }
    assert tfjs.tensors(value) == (None, "a group of weights is cut over 2 shards")
    assert tfjs.externals(value) == ("a", "b")


def test_attributes_in_json_are_base64() -> None:
    held = {"name": "p", "op": "PrintV2", "attr": {"output_stream": {"s": "ZmlsZTovLy90bXAveA=="}}}
    (program,) = tfjs_graph.programs({"modelTopology": {"node": [held]}})
    assert program.graphs[0].nodes[0].text("output_stream") == "file:///tmp/x"


# -- scripts


def test_values_of_a_script_come_out_as_json() -> None:
    script = b'module.exports = {a: [1, .5, -2e3, 0x10], \'b\': {c: null, d: !0}, "e": "\\x41\\u0042"};'
    reading = jsdata.read(MemorySource(script), Budget())
    assert reading is not None
    (part,) = reading.parts
    expected = {"a": [1, 0.5, -2000.0, 16], "b": {"c": None, "d": True}, "e": "AB"}
    assert json.loads(part.source.read(0, part.source.size)) == expected


def test_the_loader_that_browserify_puts_around_a_module() -> None:
    loader = (
        '!function(e){if("object"==typeof exports&&"undefined"!=typeof module)module.exports=e();else if("function"==typeof define'
        '&&define.amd)define([],e);else{("undefined"!=typeof window?window:"undefined"!=typeof global?global:"undefined"!=typeof self'
        '?self:this).w=e()}}(function(){return function e(h,n,d){function m(i,Y){if(!n[i]){if(!h[i]){var X="function"==typeof require'
        '&&require;if(!Y&&X)return X(i,!0);if(Z)return Z(i,!0);var o=new Error("Cannot find module \'"+i+"\'");throw o.code='
        '"MODULE_NOT_FOUND",o}var g=n[i]={exports:{}};h[i][0].call(g.exports,function(e){return m(h[i][1][e]||e)},g,g.exports,e,h,n,d)}'
        'return n[i].exports}for(var Z="function"==typeof require&&require,i=0;i<d.length;i++)m(d[i]);return m}'
        "({1:[function(e,h,n){h.exports=%s},{}]},{},[1])(1)});"
    )
    assert jsdata.read(MemorySource((loader % '"AAAA"').encode()), Budget()) is not None
    for other in ("sample()", '"A",sample()', '"A"},{}],2:[function(e,h,n){h.exports="B"'):
        assert jsdata.read(MemorySource((loader % other).encode()), Budget()) is None
    assert (
        jsdata.read(MemorySource((loader % '"A"').replace("Z(i,!0)", "Q(i,!0)").encode()), Budget()) is None
    )


# -- anything

SEEDS = [
    (savedmodel.read, (REAL / "plain/saved_model.pb").read_bytes()[:6000], "saved_model.pb"),
    (savedmodel.read, model(string("c", "a"), node("x", "SaveV2", "c", k=text("v"))), "saved_model.pb"),
    (savedmodel.read, (REAL / "tf1/graph.pbtxt").read_bytes()[:3000], "graph.pbtxt"),
    (tfcheckpoint.read, (REAL / "plain/variables/variables.index").read_bytes(), "variables.index"),
    (tflite.read, (REAL / "flow.tflite").read_bytes(), "m.tflite"),
    (tflite.read, lite(), "m.tflite"),
]


@pytest.mark.parametrize("seed", range(len(SEEDS)))
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damage_raises_nothing_but_what_is_said(seed: int, data: st.DataObject) -> None:
    read, whole, name = SEEDS[seed]
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = data.draw(st.integers(0, 255))
    changed = changed[: data.draw(st.integers(1, len(changed)))]
    with contextlib.suppress(InputError, LimitError):
        read(MemorySource(bytes(changed)), Budget(LIMITS), name)


@given(st.text(alphabet="abcmoduleexports =.;'\"[]{},:1\\\n/*`$(", max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_script_is_read_or_refused(script: str) -> None:
    jsdata.read(MemorySource(f"module.exports = {script}".encode()), Budget())
