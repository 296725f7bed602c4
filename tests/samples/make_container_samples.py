"""Makes the samples of the rules about archives, HDF5, Keras and PyTorch files (`tests/samples/README.md`).

    PYTHONPATH=.:src python tests/samples/make_container_samples.py

Needs only the standard library and the small model files in `tests/formats/data`. No sample does harm: the command is
`echo weighbridge-sample`, and links and paths lead to places where nothing is written.
"""

import base64
import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path

from tests.formats import sevenzipmaker
from tests.formats.zipmaker import DEFLATED, Item, deflate, make

SAMPLES = Path(__file__).parent
DATA = SAMPLES.parent / "formats" / "data"

TEXT = b"weights: none\n"
CALL = b"\x80\x02cposix\nsystem\nX\x17\0\0\0echo weighbridge-sample\x85R."
PLAIN = b"\x80\x02}."


def put(rule: str, name: str, data: bytes) -> None:
    folder = SAMPLES / rule
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


def put_hex(rule: str, name: str, data: bytes) -> None:
    """For bytes that virus scanners would stop at."""
    put(
        rule,
        name + ".hex",
        b"\n".join(base64.b16encode(data[i : i + 40]) for i in range(0, len(data), 40)) + b"\n",
    )


def tar(*members: tuple[str, bytes, dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data, changes in members:
            made = tarfile.TarInfo(name)
            made.size = len(data)
            for key, value in changes.items():
                setattr(made, key, value)
            archive.addfile(made, io.BytesIO(data))
    return buffer.getvalue()


def torch_zip(pickle: bytes = PLAIN, **records: bytes) -> tuple[Item, ...]:
    return (
        Item(name="model/data.pkl", data=pickle),
        Item(name="model/version", data=b"3\n"),
        *(Item(name=f"model/{name}", data=data) for name, data in records.items()),
    )


def seven_zips() -> None:
    notes = sevenzipmaker.Item(name="model/notes.txt", data=TEXT)
    anti = sevenzipmaker.Item(name="model/config.json", anti=True)
    put("sevenzip-malformed", "sample.7z", sevenzipmaker.make(notes, anti))
    put("sevenzip-malformed", "sample-twice.7z", sevenzipmaker.make(notes, notes))
    put("sevenzip-malformed", "benign.7z", sevenzipmaker.make(notes))
    put("archive-unopened", "sample.rar", b"Rar!\x1a\x07\x01\x00" + bytes(24))
    put("archive-unopened", "benign.zip", make(Item(name="model/notes.txt", data=TEXT)))


def archives() -> None:
    notes = Item(name="model/notes.txt", data=TEXT)
    put("archive-path-escape", "sample.zip", make(Item(name="../../weighbridge-sample.txt", data=TEXT)))
    put("archive-path-escape", "benign.zip", make(Item(name="model/..notes/v1..2.txt", data=TEXT)))
    put("archive-path-escape", "sample-tar.tar", tar(("/tmp/weighbridge-sample.txt", TEXT, {})))
    put("archive-path-escape", "benign-tar.tar", tar(("./model/notes.txt", TEXT, {})))
    put("archive-ambiguous-name", "sample.zip", make(notes, Item(name="model/NOTES.txt", data=TEXT)))
    put("archive-ambiguous-name", "benign.zip", make(notes, Item(name="other/notes.txt", data=TEXT)))
    link = {"type": tarfile.SYMTYPE, "linkname": "/etc"}
    put("archive-symlink", "sample.tar", tar(("weights", b"", link), ("weights/passwd", TEXT, {})))
    put("archive-symlink", "benign.tar", tar(("notes.txt", TEXT, {})))
    zip_link = Item(name="weights", data=b"../../etc/passwd", central={"mode": 0o120777})
    put("archive-symlink", "sample-zip.zip", make(zip_link))
    bomb = Item(name="zeros.bin", data=b"", method=DEFLATED, packed=deflate(bytes(1024)))
    for header in (bomb.local, bomb.central):
        header |= {"size": 1024**3, "crc": 0}
    put("archive-bomb", "sample.zip", make(bomb))
    put("archive-bomb", "benign.zip", make(Item(name="model/notes.txt", data=TEXT * 500, method=DEFLATED)))
    first = Item(name="first.txt", data=TEXT)
    put(
        "archive-bomb",
        "sample-overlap.zip",
        make(first, Item(name="second.txt", data=TEXT, packed=b"", central={"offset": 0})),
    )
    put_hex("archive-hidden-data", "sample.pt", CALL + make(*torch_zip()))
    put("archive-hidden-data", "benign.pt", make(*torch_zip()))
    put("archive-hidden-data", "sample-tar.tar", tar(("notes.txt", TEXT, {})) + TEXT)


def zips() -> None:
    twice = make(*torch_zip(), Item(name="model/data.pkl", data=b"\x80\x02]."))
    put("zip-readers-disagree", "sample.pt", twice)
    put("zip-readers-disagree", "benign.pt", make(*torch_zip()))
    put(
        "zip-readers-disagree",
        "sample-name.pt",
        make(Item(name="model/data.pkl", data=PLAIN, local={"name": b"model/other.pk"})),
    )
    hidden = Item(name="model/data.pkl", data=PLAIN, listed=False)
    put("zip-readers-disagree", "sample-hidden.zip", make(Item(name="notes.txt", data=TEXT), hidden))
    put("zip-encrypted", "sample.pt", make(Item(name="model/data.pkl", data=PLAIN, central={"flags": 0x801})))
    put("zip-encrypted", "benign.pt", make(*torch_zip()))
    put(
        "zip-bad-checksum",
        "sample.pt",
        make(Item(name="model/data.pkl", data=PLAIN, local={"crc": 0}, central={"crc": 0})),
    )
    put("zip-bad-checksum", "benign.pt", make(*torch_zip()))


def tars() -> None:
    put("tar-readers-disagree", "sample.tar", tar(("notes.txt", TEXT * 3, {"pax_headers": {"size": "14"}})))
    put("tar-readers-disagree", "benign.tar", tar(("notes.txt", TEXT, {"pax_headers": {"comment": "plain"}})))
    put("tar-device", "sample.tar", tar(("sda", b"", {"type": tarfile.BLKTYPE, "devmajor": 8})))
    put("tar-device", "benign.tar", tar(("sda", TEXT, {})))


def hdf5() -> None:
    dense, outside = (DATA / "dense.h5").read_bytes(), (DATA / "outside.h5").read_bytes()
    put("hdf5-external-link", "sample.h5", outside)
    put("hdf5-external-link", "benign.h5", dense)
    put("hdf5-hidden-data", "sample.h5", b"# a text before the file\n".ljust(512) + dense)
    put("hdf5-hidden-data", "benign.h5", bytes(512) + dense)


def keras() -> None:
    def config(layer: object) -> bytes:
        model = {"class_name": "Sequential", "config": {"name": "sample", "layers": [layer]}}
        return json.dumps(model, indent=1).encode() + b"\n"

    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3, "activation": "relu"}}
    # The code is of `lambda x: x`, cut, and cannot be loaded.
    code = base64.b64encode(b"\xe3\1\0\0\0\0\0\0\0weighbridge-sample").decode()
    lambda_2 = {"class_name": "Lambda", "config": {"function": [code, None, None], "function_type": "lambda"}}
    lambda_3 = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": {
        "class_name": "__lambda__", "config": {"code": code}}}}  # fmt: skip
    named = {"class_name": "Lambda", "config": {"function": "my_function", "function_type": "function"}}
    put("keras-lambda-layer", "sample.json", config(lambda_2))
    put("keras-lambda-layer", "sample-wrapped.json", config({
        "class_name": "TimeDistributed", "config": {"layer": lambda_3}}))  # fmt: skip
    put("keras-lambda-layer", "sample-named.json", config(named))
    for end in ("", "-wrapped"):
        put("keras-lambda-layer", f"benign{end}.json", config(dense))
    with zipfile.ZipFile(DATA / "sequential.keras") as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    archive = [Item(name=n, data=config(lambda_3) if n == "config.json" else d) for n, d in members.items()]
    archive = [Item(name=i.name, data=i.data, method=DEFLATED) for i in archive]
    put("keras-lambda-layer", "sample-archive.keras", make(*archive))
    whole_again = [Item(name=n, data=d, method=DEFLATED) for n, d in members.items()]
    put("keras-lambda-layer", "benign-archive.keras", make(*whole_again))

    def function(module: str, name: str) -> object:
        found = {"module": module, "class_name": "function", "config": name, "registered_name": name}
        return {"module": "keras.layers", "class_name": "Activation", "config": {"activation": found}}

    put("keras-unsafe-module", "sample.json", config(function("os", "system")))
    put("keras-unsafe-module", "benign.json", config(function("builtins", "relu")))
    put("keras-unsafe-module", "sample-file.json", config(function("keras.utils", "get_file")))
    tfsm = {
        "module": "keras.layers",
        "class_name": "TFSMLayer",
        "config": {"filepath": "/tmp/weighbridge-sample"},
    }
    put("keras-unsafe-module", "sample-layer.json", config(tfsm))
    lookup = {
        "module": "keras.layers",
        "class_name": "StringLookup",
        "config": {"vocabulary": "/etc/hostname"},
    }
    words = {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": ["a", "b"]}}
    put("keras-unsafe-module", "sample-vocabulary.json", config(lookup))
    put("keras-unsafe-module", "benign-vocabulary.json", config(words))
    own = {
        "module": "my_package.layers",
        "class_name": "Attention2",
        "config": {},
        "registered_name": "my_package>Attention2",
    }
    put("keras-custom-object", "sample.json", config(own))
    put("keras-custom-object", "benign.json", config(dense))


def pytorch() -> None:
    def state(numel: int) -> bytes:
        ints = b"(K\x02K\x03t(K\x03K\x01t"
        storage = (
            b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuJ"
            + struct.pack("<i", numel)
            + b"tQ"
        )
        call = (
            b"ctorch._utils\n_rebuild_tensor_v2\n("
            + storage
            + b"K\0"
            + ints
            + b"\x89ccollections\nOrderedDict\n)RtR"
        )
        return b"\x80\x02}X\x06\0\0\0weight" + call + b"s."

    put(
        "pytorch-tensor-out-of-bounds",
        "sample.pt",
        make(*torch_zip(state(1_000_000), **{"data/0": bytes(24)})),
    )
    put("pytorch-tensor-out-of-bounds", "benign.pt", make(*torch_zip(state(6), **{"data/0": bytes(24)})))
    legacy = (DATA / "torch-legacy.pt").read_bytes()
    put("pytorch-hidden-data", "sample.pt", legacy + PLAIN)
    put("pytorch-hidden-data", "benign.pt", legacy)
    put(
        "pytorch-hidden-data",
        "sample-storage.pt",
        make(*torch_zip(state(6), **{"data/0": bytes(24) + PLAIN})),
    )
    put("torchscript-unsafe-operator", "sample.pt", torchscript('torch.save(x, "/tmp/weighbridge-sample")'))
    put("torchscript-unsafe-operator", "benign.pt", torchscript("torch.relu(x)"))
    put("torchscript-unproved", "sample.pt", torchscript("ops.my_library.fetch(x)"))
    put("torchscript-unproved", "benign.pt", torchscript("ops.prim.NumToTensor(torch.len(x))"))


def torchscript(expression: str) -> bytes:
    code = (
        "class Model(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
        f"  def forward(self: __torch__.Model,\n    x: Tensor) -> Tensor:\n    _0 = {expression}\n    return x\n"
    )
    pickle = b"\x80\x02c__torch__\nModel\n)\x81}X\x08\0\0\0training\x88sb."
    return make(
        Item(name="model/data.pkl", data=pickle),
        Item(name="model/code/__torch__.py", data=code.encode()),
        Item(name="model/constants.pkl", data=b"\x80\x02)."),
        Item(name="model/version", data=b"3\n"),
    )


if __name__ == "__main__":
    for group in (archives, seven_zips, zips, tars, hdf5, keras, pytorch):
        group()
