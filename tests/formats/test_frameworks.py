"""Readers of other frameworks' formats: real files read whole, lies found, and no crash on anything."""

import contextlib
import gzip
import random
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.frameworkfiles import (
    R_NIL,
    booster,
    caffe_blob,
    caffe_layer,
    caffe_net,
    cntk_array,
    cntk_model,
    fasttext,
    ggjt,
    mxnet_array,
    mxnet_params,
    paddle_op,
    paddle_program,
    paddle_tensor,
    r_call,
    r_chars,
    r_list,
    r_promise,
    r_stream,
    r_strings,
    real,
    t7,
    ubj,
    whisper,
)
from tests.tensorfiles import message, number
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats import candidates, read
from weighbridge.formats.r.found import RReading


def reading(kind: str, data: bytes, name: str = "model.bin") -> Any:
    return read(kind, MemorySource(data), Budget(), name)


def facts(kind: str, data: bytes, name: str = "model.bin") -> list[str]:
    return [anomaly.code for anomaly in reading(kind, data, name).anomalies]


# -- files that the frameworks wrote

REAL = {
    "tree.ubj": ("xgboost", "xgboost"),
    "linear.ubj": ("xgboost", "xgboost"),
    "dart.ubj": ("xgboost", "xgboost"),
    "categories.ubj": ("xgboost", "xgboost"),
    "lightgbm.txt": ("lightgbm", "lightgbm"),
    "linear-trees.txt": ("lightgbm", "lightgbm"),
    "symmetric.cbm": ("catboost", "catboost"),
    "lossguide.cbm": ("catboost", "catboost"),
    "statistics.cbm": ("catboost", "catboost"),
    "softmax.pdmodel": ("paddle", "paddle"),
    "softmax.pdiparams": ("paddle", "paddle-params"),
    "pir.pdiparams": ("paddle", "paddle-params"),
    "mxnet.params": ("mxnet", "mxnet-params"),
    "v5.mat": ("matlab", "matlab"),
    "compressed.mat": ("matlab", "matlab"),
    "raw_xdr.rds": ("r", "r"),
    "raw_le.rds": ("r", "r"),
}


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_files_are_recognised_under_any_name_and_read_to_the_last_byte(name: str) -> None:
    kind, wanted = REAL[name]
    data = real(name)
    assert kind in candidates(MemorySource(data), "weights")
    found = reading(kind, data)
    assert (found.format, found.anomalies, found.gaps) == (wanted, (), ())


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_files_with_a_tail_say_so(name: str) -> None:
    kind, _ = REAL[name]
    found = reading(kind, real(name) + b"\x07\x07\x07\x07\x07\x07")
    assert found.anomalies or [gap.code for gap in found.gaps] == ["trailing-bytes"]


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_files_cut_anywhere_never_look_whole(name: str) -> None:
    kind, _ = REAL[name]
    data = real(name)
    dice = random.Random(name)
    for cut in [dice.randrange(16, len(data)) for _ in range(40)]:
        found = refused_or_read(kind, data[:cut])
        whole = found is not None and not found.anomalies and not found.gaps
        # A list of tensors, of MATLAB's variables or of notes behind the trees ends where it ends.
        assert not whole or kind in ("paddle", "matlab", "lightgbm"), cut


def refused_or_read(kind: str, data: bytes) -> Any:
    """The reading, or None where the reader says that its loader would refuse the bytes."""
    with contextlib.suppress(InputError):
        return reading(kind, data)
    with pytest.raises(InputError, match="not-this-format"):
        reading(kind, data)
    return None


def test_tensors_of_paddle_are_listed() -> None:
    data = paddle_tensor([2, 3], bytes(24)) + paddle_tensor([4], bytes(8), kind=4)
    tensors = reading("paddle", data).tensors
    assert [(t.name, t.dtype, t.shape) for t in tensors] == [
        ("parameter 0", "F32", (2, 3)),
        ("parameter 1", "F16", (4,)),
    ]
    assert data[slice(tensors[1].spans[0][0], None)] == bytes(8)


def test_tensors_of_mxnet_are_listed_with_their_names_and_bytes() -> None:
    data = real("mxnet.params")
    tensors = reading("mxnet", data).tensors
    assert [(t.name, t.dtype, t.shape) for t in tensors] == [("arg:w", "F32", (2, 3)), ("aux:b", "F32", (4,))]
    start, length = tensors[0].spans[0]
    assert struct.unpack("<6f", data[start : start + length]) == (0, 1, 2, 3, 4, 5)


def test_operators_of_a_real_paddle_program() -> None:
    assert [call.name for call in reading("paddle", real("softmax.pdmodel")).calls] == [
        "feed", "mul", "elementwise_add", "softmax", "fetch",
    ]  # fmt: skip


def test_old_ggml_files_are_read_and_listed() -> None:
    for data in (
        ggjt(("w", [32, 2], 2, bytes(36)), ("b", [4], 0, bytes(16))),
        whisper(("w", [32, 2], 2, bytes(36)), ("b", [4], 0, bytes(16))),
    ):
        found = reading("ggml", data)
        assert (found.anomalies, found.gaps) == ((), ())
        assert [(t.name, t.dtype, t.shape) for t in found.tensors] == [
            ("w", "Q4_0", (2, 32)),
            ("b", "F32", (4,)),
        ]


def test_fasttext_matrices_are_listed() -> None:
    found = reading("fasttext", fasttext())
    assert (found.anomalies, found.gaps) == ((), ())
    assert [(t.name, t.shape) for t in found.tensors] == [("input", (5, 2)), ("output", (1, 2))]


def test_word2vec_in_both_spellings() -> None:
    vector = struct.pack("<2f", 0.5, -1)
    for data in (b"2 2\na " + vector + b"b " + vector, b"2 2\na " + vector + b"\nb " + vector + b"\n"):
        assert candidates(MemorySource(data), "vectors.bin") == ("fasttext",)
        found = reading("fasttext", data)
        assert (found.format, found.anomalies, found.gaps) == ("word2vec", (), ())


def test_word_vectors_as_text_stay_text() -> None:
    assert candidates(MemorySource(b"2 2\na 0.5 1\nb 0.5 1\n"), "glove.vec") == ("text",)


# -- R


@pytest.mark.parametrize(
    "name", ["df.rds", "ascii.rds", "two.rda", "km.rds", "s4.rds", "glm.rds", "ecdf.rds", "byte.rds"]
)
def test_r_objects_of_every_kind_are_walked_to_the_end(name: str) -> None:
    import bz2
    import lzma

    data = real(name)
    for unpack in (gzip.decompress, bz2.decompress, lzma.decompress):
        try:
            data = unpack(data)
            break
        except (OSError, lzma.LZMAError):
            continue
    found = reading("r", data)
    assert (found.anomalies, found.gaps) == ((), ())


def test_r_says_what_code_calls() -> None:
    found: RReading = reading(
        "r", r_stream(r_list(r_promise(r_call("system", r_strings("echo weighbridge-sample")))))
    )
    (code,) = found.codes
    assert (code.kind, code.natural, code.called) == ("promise", False, {"system"})
    assert code.words == {"echo weighbridge-sample"}


def test_r_names_of_a_saved_image() -> None:
    assert reading("r", gzip.decompress(real("two.rda"))).names == ("x", "y")


R_LIES = {
    "vector": (struct.pack(">ii", 14, 2**31 - 1), "count-overflow"),
    "long vector": (struct.pack(">iiii", 14, -1, 2**30, 0), "count-overflow"),
    "negative vector": (struct.pack(">ii", 13, -7), "count-overflow"),
    "string": (struct.pack(">iiii", 16, 1, 9, 2**30), "length-overflow"),
    "reference": (struct.pack(">i", 255 | 7 << 8), "index-out-of-range"),
    "kind": (struct.pack(">i", 99), "type-invalid"),
    "cut": (struct.pack(">ii", 19, 1), "count-overflow"),
    "no end of pairs": (struct.pack(">i", 2) * 50, "out-of-file"),
}


@pytest.mark.parametrize("name", sorted(R_LIES))
def test_r_lies_are_told(name: str) -> None:
    item, fact = R_LIES[name]
    assert facts("r", r_stream(item)) == [fact]


def test_r_nesting_costs_no_recursion() -> None:
    deep = struct.pack(">ii", 19, 1) * 200_000 + R_NIL
    found = reading("r", r_stream(deep))
    assert (found.anomalies, found.gaps) == ((), ())


def test_r_text_form_reads_like_the_binary_one() -> None:
    text = b"A\n2\n262658\n131840\n16\n1\n262153\n6\na\\n\\040b\\\\\n"
    found = reading("r", text)
    assert (found.anomalies, found.gaps) == ((), ())
    assert reading("r", r_stream(struct.pack(">ii", 16, 1), r_chars("a\n b\\"))).codes == found.codes


# -- lies of the others

LIES: dict[str, tuple[str, bytes, str]] = {
    "xgboost count": ("xgboost", b"{L" + struct.pack(">q", 7) + b"learner[$L#L" + struct.pack(">q", 2**60), "count-overflow"),
    "xgboost negative": ("xgboost", b"{L" + struct.pack(">q", 7) + b"learner[#i\xff", "count-overflow"),
    "xgboost string": ("xgboost", b"{L" + struct.pack(">q", 7) + b"learnerSL" + struct.pack(">q", 2**40), "length-overflow"),
    "xgboost nesting": ("xgboost", b"{L" + struct.pack(">q", 7) + b"learner" + b"[" * 5000, "nesting-too-deep"),
    "xgboost nulls": ("xgboost", b"{L" + struct.pack(">q", 7) + b"learner[$Z#L" + struct.pack(">q", 2**40), "count-overflow"),
    "xgboost marker": ("xgboost", b"{L" + struct.pack(">q", 7) + b"learnerx", "type-invalid"),
    "xgboost twice": ("xgboost", b"{" + (ubj("learner")[1:] + ubj(booster()["learner"])) * 2 + b"}", "duplicate-key"),
    "xgboost child": ("xgboost", ubj(booster(left_children=[1_000_000, -1, -1])), "index-out-of-range"),
    "xgboost cycle": ("xgboost", ubj(booster(left_children=[0, -1, -1])), "cycle"),
    "xgboost feature": ("xgboost", ubj(booster(split_indices=[9, 0, 0])), "index-out-of-range"),
    "xgboost nodes": ("xgboost", ubj(booster(split_conditions=[0.5])), "size-mismatch"),
    "mxnet count": ("mxnet", struct.pack("<QQQ", 0x112, 0, 2**62), "count-overflow"),
    "mxnet shape": ("mxnet", mxnet_params([mxnet_array([2**40, 2**40], b"")], ["w"]), "shape-overflow"),
    "mxnet data": ("mxnet", mxnet_params([mxnet_array([1000], bytes(8))], ["w"]), "out-of-file"),
    "mxnet dimensions": ("mxnet", mxnet_params([mxnet_array([1] * 40, bytes(4))], ["w"]), "too-many-dims"),
    "mxnet type": ("mxnet", mxnet_params([mxnet_array([1], bytes(4), kind=77)], ["w"]), "type-invalid"),
    "mxnet names": ("mxnet", mxnet_params([mxnet_array([1], bytes(4))], ["w", "v"]), "size-mismatch"),
    "paddle shape": ("paddle", paddle_tensor([2**40, 2**40], b""), "shape-overflow"),
    "paddle negative": ("paddle", paddle_tensor([-1], b""), "shape-overflow"),
    "paddle data": ("paddle", paddle_tensor([1000], bytes(8)), "out-of-file"),
    "paddle type": ("paddle", paddle_tensor([1], bytes(4), kind=9), "type-invalid"),
    "paddle block": (
        "paddle",
        paddle_program(message(4, message(3, "while"), message(4, message(1, "sub_block"), number(2, 8), number(12, 99)))),
        "index-out-of-range",
    ),
    "paddle cut": ("paddle", paddle_program(paddle_op("relu")) + b"\x0a\xff\x7f", "out-of-file"),
    "cntk size": ("cntk", cntk_model(type="PrimitiveFunction", value=cntk_array([9, 9], [1])), "size-mismatch"),
    "caffe size": ("caffe", caffe_net(caffe_layer("ip", "InnerProduct", caffe_blob([9, 9], [1, 2]))), "size-mismatch"),
    "fasttext count": ("fasttext", fasttext(size=2**31 - 1), "count-overflow"),
    "fasttext rows": ("fasttext", fasttext(rows=2**40, data=b""), "out-of-file"),
    "fasttext overflow": ("fasttext", fasttext(rows=2**62, data=b""), "shape-overflow"),
    "fasttext matrix": ("fasttext", fasttext(rows=4, data=bytes(32)), "size-mismatch"),
    "word2vec count": ("fasttext", b"99999999 300\na \0\1\2\3", "count-overflow"),
    "ggml words": ("ggml", ggjt(n_vocab=2**31 - 1), "count-overflow"),
    "ggml name": ("ggml", ggjt() + struct.pack("<3I", 1, 2**31, 0), "length-overflow"),
    "ggml dimensions": ("ggml", ggjt() + struct.pack("<3I", 99, 1, 0), "too-many-dims"),
    "ggml type": ("ggml", ggjt(("w", [32], 99, b"")), "type-invalid"),
    "ggml data": ("ggml", ggjt(("w", [2**31, 2**30], 0, b"")), "out-of-file"),
    "ggml blocks": ("ggml", ggjt(("w", [33], 2, bytes(36))), "block-misfit"),
    "ggml unknown layout, impossible vocabulary": ("ggml", b"lmgg" + b"\xff" * 60, "count-overflow"),
    "torch7 string": ("torch7", struct.pack("<iii", 3, 1, 1) + struct.pack("<ii", 2, 2**30), "length-overflow"),
    "torch7 table": ("torch7", struct.pack("<iiii", 3, 1, 2**20, 1), "count-overflow"),
    "torch7 kind": ("torch7", struct.pack("<iii", 3, 1, 1) + t7(1) + struct.pack("<i", 77), "type-invalid"),
    "torch7 tensor": ("torch7", t7(["x", ("tensor", [2**40, 2**40], None)]), "shape-overflow"),
    "catboost core": ("catboost", b"CBM1" + struct.pack("<I", 2**31) + bytes(64), "out-of-file"),
    "catboost root": ("catboost", b"CBM1" + struct.pack("<II", 8, 2**31) + bytes(4), "offset-invalid"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(LIES))
def test_lies_are_told(name: str) -> None:
    kind, data, fact = LIES[name]
    suffix = {"paddle": "pdiparams", "torch7": "t7"}.get(kind, kind)
    assert facts(kind, data, f"model.{suffix}")[0] == fact


LIGHTGBM = {
    "feature": ("split_feature=1 0 0 1", "split_feature=1 0 77 1", "index-out-of-range"),
    "child": ("left_child=1 3 -2 -1", "left_child=1 3 -2 -99", "index-out-of-range"),
    "cycle": ("left_child=1 3 -2 -1", "left_child=1 0 -2 -1", "index-out-of-range"),
    "leaves": ("num_leaves=5", "num_leaves=99999999999", "count-overflow"),
    "sizes": ("tree_sizes=661", "tree_sizes=2147483647", "offset-invalid"),
    "features": ("max_feature_idx=5", "max_feature_idx=-9", "count-overflow"),
    "end": ("end of trees", "no end", "out-of-file"),
}


@pytest.mark.parametrize("name", sorted(LIGHTGBM))
def test_lightgbm_lies_are_told(name: str) -> None:
    before, after, fact = LIGHTGBM[name]
    text = real("lightgbm.txt").decode()
    assert before in text
    assert fact in facts("lightgbm", text.replace(before, after, 1).encode())


def test_catboost_indexes_are_held_against_each_other() -> None:
    data = bytearray(real("symmetric.cbm"))
    sizes = data.index(struct.pack("<4i", 3, 3, 3, 3))
    data[sizes : sizes + 4] = struct.pack("<i", 30)
    assert facts("catboost", bytes(data)) == ["index-out-of-range"]


def test_xgboost_json_of_xgboost_has_no_problems() -> None:
    import json

    from weighbridge.formats.xgboost import problems

    assert problems(json.loads(real("tree.json"))) == ()


# -- nothing breaks a reader

KINDS = (
    "paddle",
    "mxnet",
    "cntk",
    "caffe",
    "xgboost",
    "lightgbm",
    "catboost",
    "fasttext",
    "r",
    "ggml",
    "torch7",
    "matlab",
    "opaque",
)
SEEDS = [
    *((kind, real(name)) for name, (kind, _) in REAL.items()),
    *((kind, data) for kind, data, _ in LIES.values()),
    ("cntk", cntk_model()),
    ("caffe", caffe_net(caffe_layer("ip", "InnerProduct", caffe_blob([1, 2], [1, 2])))),
    ("torch7", t7([1, "x", ("tensor", [2], ("storage", [1, 2])), ("class", "nn.Linear", ["w"])])),
    ("ggml", whisper(("b", [4], 0, bytes(16)))),
    ("r", gzip.decompress(real("glm.rds"))),
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_damage_ends_in_a_reading_or_a_documented_error(seed: tuple[str, bytes], data: st.DataObject) -> None:
    kind, content = seed
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        piece = data.draw(
            st.sampled_from(
                [b"\xff", b"\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80", b"{", b"\x05"]
            )
        )
        changed[at : at + len(piece)] = piece
    limits = Limits(bytes=64 * 1024**2, depth=6, members=200_000, seconds=10, memory=16 * 1024**2)
    with contextlib.suppress(InputError, LimitError):
        read(kind, MemorySource(bytes(changed)), Budget(limits), f"model.{kind}")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), st.binary(max_size=300))
def test_any_bytes_end_in_a_reading_or_a_documented_error(kind: str, data: bytes) -> None:
    with contextlib.suppress(InputError, LimitError):
        reading(kind, data or b"\0")
