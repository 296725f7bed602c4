"""Run by a Python that has torch, transformers, keras, joblib and ONNX Runtime: what each does under a guard, as JSON.

    python real_libraries.py FOLDER PRIVATE.pem PUBLIC.pem

FOLDER gets models made by the libraries themselves; each line of the answer is what a call did: "loaded" or the codes.
"""

import io
import json
import os
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
os.environ["KERAS_BACKEND"] = "torch"
os.environ["HF_HUB_OFFLINE"] = "1"

import keras  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from keras.models import load_model  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from torch import load as torch_load  # noqa: E402

import weighbridge  # noqa: E402
from weighbridge.sign.signer import open_signer  # noqa: E402
from weighbridge.signing import Wish, sign_model  # noqa: E402

folder, private, key = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
trace = folder / "trace"
answers = {}


class Harm:
    def __reduce__(self):
        return os.system, (f"echo weighbridge-sample > {trace}",)


def tried(name, call):
    try:
        call()
        answers[name] = "loaded"
    except weighbridge.LoadRefused as error:
        rows = error.report.evidence if error.report else ()
        answers[name] = sorted({row.code for row in rows if row.code} - {"no-signature"}) or ["refused"]
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"


def make_bert(path):
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=20
    )
    transformers.BertModel(config).save_pretrained(path, max_shard_size="5kB")
    (path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n")
    transformers.BertTokenizerFast(vocab_file=str(path / "vocab.txt")).save_pretrained(path)


def make_onnx(path):
    weights = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])], [weights],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path / "plain.onnx")
    onnx.save(model, path / "ext.onnx", save_as_external_data=True, location="ext.data", size_threshold=10)


state = {"w": torch.arange(6.0).reshape(2, 3).t(), "b": torch.ones(2, dtype=torch.bfloat16)}
torch.save(state, folder / "ok.pt")
torch.save(state, folder / "ok-legacy.pt", _use_new_zipfile_serialization=False)
torch.save({"e": Harm()}, folder / "bad.pt")
torch.save(Harm(), folder / "bad-legacy.pt", _use_new_zipfile_serialization=False)
torch.jit.script(torch.nn.Linear(2, 2)).save(str(folder / "ok-script.pt"))
dense = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
dense.save(folder / "ok.keras")
dense.save(folder / "ok.h5")
dense.save_weights(folder / "ok.weights.h5")
keras.Sequential([keras.layers.Input((3,)), keras.layers.Lambda(lambda x: x + 1)]).save(folder / "bad.keras")
make_onnx(folder)


def runs(model):
    session = onnxruntime.InferenceSession(model)
    assert session.run(None, {"x": np.ones((1, 64), np.float32)})[0].sum() == 64 * 64


def equal(loaded):
    assert all(torch.equal(loaded[name], state[name]) for name in state)


with weighbridge.guard(policy="research"):
    for name in ("ok.pt", "ok-legacy.pt"):
        for strict in (True, False):
            tried(
                f"{name} weights_only={strict}",
                lambda n=name, s=strict: equal(torch_load(folder / n, weights_only=s)),
            )
        tried(f"{name} open", lambda n=name: equal(torch.load((folder / n).open("rb"))))
        tried(f"{name} memory", lambda n=name: equal(torch.load(io.BytesIO((folder / n).read_bytes()))))
    tried("ok.pt mmap", lambda: equal(torch.load(folder / "ok.pt", mmap=True)))
    tried("ok-script.pt", lambda: torch.jit.load(folder / "ok-script.pt"))
    for name in ("bad.pt", "bad-legacy.pt"):
        tried(name, lambda n=name: torch_load(folder / n, weights_only=False))
        tried(f"{name} open", lambda n=name: torch.load((folder / n).open("rb"), weights_only=False))
        tried(
            f"{name} memory",
            lambda n=name: torch.load(io.BytesIO((folder / n).read_bytes()), weights_only=False),
        )
    tried("ok.keras", lambda: load_model(folder / "ok.keras"))
    tried("ok.h5", lambda: keras.saving.load_model(folder / "ok.h5"))
    tried("ok.weights.h5", lambda: dense.load_weights(folder / "ok.weights.h5"))
    tried("bad.keras", lambda: load_model(folder / "bad.keras", safe_mode=False))
    tried("plain.onnx", lambda: runs(folder / "plain.onnx"))
    tried("plain.onnx memory", lambda: runs((folder / "plain.onnx").read_bytes()))
    tried("ext.onnx", lambda: runs(folder / "ext.onnx"))

for name in ("ok.pt", "ok-legacy.pt"):
    tried(
        f"load {name}",
        lambda n=name: equal(weighbridge.load(folder / n, policy="research", framework="torch")),
    )

bert = folder / "bert"
make_bert(bert)
sign_model(Wish(path=str(bert)), [open_signer(private)])
(config, before) = bert / "config.json", (bert / "config.json").read_bytes()
shard = sorted(bert.glob("*.safetensors"))[0]
weights = shard.read_bytes()
with weighbridge.guard(key=key):
    tried("from_pretrained", lambda: transformers.AutoModel.from_pretrained(bert))
    tried("tokenizer", lambda: transformers.AutoTokenizer.from_pretrained(bert)("hello"))
    tried("load_file", lambda: load_file(shard))
    config.write_bytes(before + b"\n")
    tried("changed config", lambda: transformers.AutoConfig.from_pretrained(bert))
    tried("changed config, model", lambda: transformers.AutoModel.from_pretrained(bert))
    config.write_bytes(before)
    shard.write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    tried("changed weights", lambda: transformers.AutoModel.from_pretrained(bert))
    shard.write_bytes(weights)
answers["trace"] = trace.exists()
print(json.dumps(answers))
