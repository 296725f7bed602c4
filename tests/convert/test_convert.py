"""From checkpoints to safetensors: what is kept, what is left out and named, and that nothing half-written stays."""

import json
import struct
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.convert.makers import SHELL, Made, Storage, checkpoint, read, tensor
from tests.measure import models
from weighbridge.convert import Recipe, Target, convert
from weighbridge.core.errors import BrokenError, InputError, UsageError, WeighbridgeError
from weighbridge.core.receipt import Dropped, Kind, Receipt, Renamed
from weighbridge.formats.reading import TensorRef
from weighbridge.measure import tensors as measured

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DATA = Path(__file__).parents[1] / "formats" / "data"
EXPECTED = json.loads((DATA / "tensors.json").read_text())


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


W = tensor("F32", (2, 2), floats(1, 2, 3, 4))


def converted(path: Path, data: bytes | None = None, **wish: object) -> Receipt:
    if data is not None:
        path.write_bytes(data)
    return convert(Recipe(path=str(path), **wish), now=NOW).receipt  # type: ignore[arg-type]


def refusal(path: Path, data: bytes | None = None, **wish: object) -> WeighbridgeError:
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(WeighbridgeError) as caught:
        converted(path, data, **wish)
    assert [p for p in sorted(path.parent.rglob("*")) if p not in before and p != path] == []
    return caught.value


# -- one file


@pytest.mark.parametrize("name", EXPECTED)
def test_every_tensor_is_what_torch_load_gives(name: str, tmp_path: Path) -> None:
    """Zip, legacy and TorchScript; `tensors.json` holds SHA-256 of what torch itself loaded."""
    import hashlib

    out = tmp_path / "out.safetensors"
    receipt = converted(DATA / name, out=str(out), keep_names=True, keep_optimizer=True)
    ours = {key: hashlib.sha256(data).hexdigest() for key, (_, _, data) in read(out).tensors.items()}
    assert ours == EXPECTED[name]
    assert receipt.equality.equal == receipt.equality.compared == len(ours)
    assert receipt.source.tensors_digest == receipt.output.tensors_digest
    assert not receipt.dangerous


def test_a_checkpoint_loses_its_wrapper_and_its_optimizer(tmp_path: Path) -> None:
    receipt = converted(DATA / "torch-checkpoint.pt", out=str(tmp_path / "m.safetensors"))
    there = read(tmp_path / "m.safetensors")
    assert sorted(there.tensors) == [
        "0.bias", "0.weight", "1.bias", "1.num_batches_tracked", "1.running_mean", "1.running_var", "1.weight",
    ]  # fmt: skip
    assert there.metadata == {"format": "pt", "epoch": "3"}
    path = "torch-checkpoint.pt"
    assert receipt.renamed == (Renamed(path, "model.", "", prefix=True),)
    assert receipt.dropped == (Dropped(Kind.TENSORS, path, "optimizer.", "optimizer state", 12),)
    assert receipt.source.tensors_digest != receipt.output.tensors_digest


def test_a_layer_that_only_sounds_like_a_wrapper_or_an_optimizer_is_kept(tmp_path: Path) -> None:
    state = {"model.w": W, "optimizer.w": W}
    converted(tmp_path / "a.pt", checkpoint(state))
    assert sorted(read(tmp_path / "a.safetensors").tensors) == ["model.w", "optimizer.w"]


def test_a_wrapper_stays_when_something_else_stands_beside_it(tmp_path: Path) -> None:
    receipt = converted(tmp_path / "a.pt", checkpoint({"model": {"w": W}, "ema": {"w": W}}))
    assert sorted(read(tmp_path / "a.safetensors").tensors) == ["ema.w", "model.w"]
    assert (receipt.renamed, receipt.tied) == ((), (("model.w", "ema.w"),))


def test_tied_tensors_are_written_for_each_name_and_noted(tmp_path: Path) -> None:
    storage = Storage("F32", floats(1, 2))
    state = {"embed": tensor("F32", (2,), storage), "head": tensor("F32", (2,), storage)}
    receipt = converted(tmp_path / "a.pt", checkpoint(state))
    assert receipt.tied == (("embed", "head"),)
    found = read(tmp_path / "a.safetensors").tensors
    assert found["embed"] == found["head"] == ("F32", (2,), floats(1, 2))


def test_items_out_of_order_and_big_endian_ones_are_put_in_order(tmp_path: Path) -> None:
    turned = tensor("F32", (2, 2), floats(1, 2, 3, 4), strides=(1, 2))
    converted(tmp_path / "a.pt", checkpoint({"w": turned}))
    assert read(tmp_path / "a.safetensors").tensors["w"][2] == floats(1, 3, 2, 4)
    big = tensor("F32", (2,), struct.pack(">2f", 5, 6))
    converted(tmp_path / "b.pt", checkpoint({"w": big}, byteorder="big"))
    assert read(tmp_path / "b.safetensors").tensors["w"][2] == floats(5, 6)


def test_a_tensor_alone_gets_a_name(tmp_path: Path) -> None:
    receipt = converted(tmp_path / "a.pt", checkpoint(W))
    assert list(read(tmp_path / "a.safetensors").tensors) == ["tensor"]
    assert receipt.renamed == (Renamed("a.pt", "", "tensor"),)


def test_other_formats(tmp_path: Path) -> None:
    content = {"a.w": ("F32", (2, 2), floats(1, 2, 3, 4)), "b": ("F32", (1,), floats(9))}
    whole = {name: (dtype, shape, data) for name, (dtype, shape, data) in content.items()}
    for name, data in (
        ("x.gguf", models.gguf(content)),
        ("x.safetensors", models.safetensors(content)),
        ("x.onnx", models.onnx(content)[0]),
        ("x.npz", models.npz({n: models.npy("<f4", s, d) for n, (_, s, d) in content.items()})),
    ):
        out = tmp_path / f"{name}.out.safetensors"
        receipt = converted(tmp_path / name, data, out=str(out))
        assert read(out).tensors == whole
        assert receipt.source.tensors_digest == receipt.output.tensors_digest
    receipt = converted(tmp_path / "one.npy", models.npy(">f4", (2,), struct.pack(">2f", 1, 2)))
    assert read(tmp_path / "one.safetensors").tensors == {"array": ("F32", (2,), floats(1, 2))}


def test_keras(tmp_path: Path) -> None:
    for name in ("sequential.h5", "sequential.keras"):
        out = tmp_path / f"{name}.safetensors"
        receipt = converted(DATA / name, out=str(out))
        assert receipt.equality.equal == 4
        assert read(out).metadata["format"] == "tf"
        assert {gone.why for gone in receipt.dropped} == {"optimizer state"}


def test_sharding_and_joining(tmp_path: Path) -> None:
    content = {f"w{i}": ("F32", (4,), floats(i, i, i, i)) for i in range(5)}
    receipt = converted(
        tmp_path / "m.safetensors", models.safetensors(content), shard_size=32, out=str(tmp_path / "many")
    )
    names = sorted(path.name for path in (tmp_path / "many").iterdir())
    assert names == [*(f"m-0000{i}-of-00003.safetensors" for i in (1, 2, 3)), "m.safetensors.index.json"]
    index = json.loads((tmp_path / "many/m.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 80}
    assert index["weight_map"] == {
        name: f"m-0000{1 + i // 2}-of-00003.safetensors" for i, name in enumerate(content)
    }
    assert receipt.source.tensors_digest == receipt.output.tensors_digest
    joined = converted(tmp_path / "many", shard_size=10**9, out=str(tmp_path / "one"))
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["m.safetensors"]
    assert joined.output.tensors_digest == receipt.source.tensors_digest


# -- beside the tensors


def test_plain_values_go_along_and_the_rest_is_named(tmp_path: Path) -> None:
    state = {
        "state_dict": {"w": W},
        "epoch": 7,
        "name": "résumé",
        "lr": 0.5,
        "best": True,
        "nothing": None,
        "template": "{% for x in y %}{{ x }}{% endfor %}",
        "long": "x" * 5000,
        "args": Made("argparse.Namespace", state={"seed": 1}),
        "dtype": Made("torch.Size", (1, 2)),
        "raw": b"abc",
        "callbacks": {"best": 3.0},
    }
    receipt = converted(tmp_path / "a.pt", checkpoint(state))
    assert read(tmp_path / "a.safetensors").metadata == {
        "format": "pt", "epoch": "7", "name": "résumé", "lr": "0.5", "best": "true",
    }  # fmt: skip
    assert {gone.name: gone.why for gone in receipt.dropped} == {
        "template": "its text could be taken for something else",
        "long": "a long text",
        "args": "an object of argparse.Namespace",
        "dtype": "an object of torch.Size",
        "raw": "bytes",
        "callbacks": "state of callbacks and loops",
    }
    assert {gone.kind for gone in receipt.dropped} == {Kind.VALUE}


def test_tensors_of_objects_beside_a_state_dict_are_left_out(tmp_path: Path) -> None:
    state = {"state_dict": {"w": W}, "metric": Made("my.Metric", state={"total": W})}
    receipt = converted(tmp_path / "a.pt", checkpoint(state))
    assert list(read(tmp_path / "a.safetensors").tensors) == ["w"]
    assert Dropped(Kind.TENSORS, "a.pt", "metric.", "inside an object of my.Metric", 1) in receipt.dropped
    kept = converted(tmp_path / "a.pt", keep_optimizer=True, force=True)
    assert sorted(read(tmp_path / "a.safetensors").tensors) == ["metric.total", "state_dict.w"]
    assert kept.equality.equal == 2


def test_a_whole_model_keeps_the_tensors_of_its_object(tmp_path: Path) -> None:
    receipt = converted(
        tmp_path / "a.pt", checkpoint(Made("my.Net", state={"_parameters": {"w": W}, "training": False}))
    )
    assert list(read(tmp_path / "a.safetensors").tensors) == ["_parameters.w"]
    assert receipt.dropped == (Dropped(Kind.VALUE, "a.pt", "", "an object of my.Net"),)


# -- danger


def test_a_call_beside_the_tensors_is_shown_and_not_run(tmp_path: Path) -> None:
    receipt = converted(tmp_path / "a.pt", checkpoint({"w": W}, before=SHELL))
    assert receipt.dangerous
    assert [(seen.rule, seen.severity) for seen in receipt.findings] == [("pickle-unsafe-call", "error")]
    assert read(tmp_path / "a.safetensors").tensors == {"w": ("F32", (2, 2), floats(1, 2, 3, 4))}


def test_the_result_of_an_unknown_call_is_no_tensor(tmp_path: Path) -> None:
    state = {"w": W, "made": Made("my.make", 3), "ran": Made("os.system", "echo weighbridge-sample")}
    receipt = converted(tmp_path / "a.pt", checkpoint(state))
    assert list(read(tmp_path / "a.safetensors").tensors) == ["w"]
    assert {gone.name: gone.why for gone in receipt.dropped} == {
        "made": "an object of my.make", "ran": "an object of os.system",
    }  # fmt: skip


def test_a_tensor_that_an_unknown_call_gets_is_refused_by_name(tmp_path: Path) -> None:
    state = {"w": W, "v": tensor("F32", (1,), floats(1))}
    data = checkpoint({**state, "touched": Made("my.change", state["v"])})
    error = refusal(tmp_path / "a.pt", data)
    assert (type(error), error.code) == (InputError, "not-convertible")
    assert (
        error.message
        == 'tensor "v" of "a.pt" cannot be converted: it is handed to my.change, which may change it'
    )
    receipt = converted(tmp_path / "a.pt", partial=True)
    assert list(read(tmp_path / "a.safetensors").tensors) == ["w"]
    assert (
        Dropped(Kind.TENSOR, "a.pt", "v", "it is handed to my.change, which may change it") in receipt.dropped
    )


def test_a_whole_dict_that_an_unknown_call_gets_is_refused(tmp_path: Path) -> None:
    inner = {"w": W}
    error = refusal(tmp_path / "a.pt", checkpoint([inner, Made("my.change", inner)]))
    assert error.code == "not-convertible"


def test_state_that_is_set_on_a_tensor_refuses_it(tmp_path: Path) -> None:
    strange = tensor("F32", (1,), floats(1))
    strange.reduced = (*strange.reduced, {"data": W})
    error = refusal(tmp_path / "a.pt", checkpoint({"w": W, "s": strange}))
    assert 'tensor "s"' in error.message
    assert "state is set on it" in error.message


def test_a_quantized_tensor_is_refused_with_its_reason(tmp_path: Path) -> None:
    quantized = Made(
        "torch._utils._rebuild_qtensor", Storage("U8", b"\x01\x02"), 0, (2,), (1,), (), False, {}
    )
    error = refusal(tmp_path / "a.pt", checkpoint({"w": W, "q": quantized}))
    assert 'tensor "q"' in error.message
    assert "quantized" in error.message
    assert error.hints == ("--partial writes the other tensors",)


def test_a_type_that_the_format_lacks_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path / "a.pt", checkpoint({"z": tensor("C128", (1,), bytes(16))}))
    assert "safetensors has no type C128" in error.message


def test_a_pickle_that_breaks_gives_nothing(tmp_path: Path) -> None:
    error = refusal(tmp_path / "a.pt", checkpoint({"w": W}, before=SHELL + b"R"), partial=True)
    assert error.code == "nothing-to-convert"


def test_no_tensor_at_all(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.json", b"{}").code == "nothing-to-convert"


# -- folders


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    model = tmp_path / "chat"
    (model / "sub").mkdir(parents=True)
    for number, name in ((1, "a"), (2, "b")):
        data = checkpoint({f"{name}.weight": tensor("F32", (1,), floats(number))})
        (model / f"pytorch_model-0000{number}-of-00002.bin").write_bytes(data)
    weight_map = {
        "a.weight": "pytorch_model-00001-of-00002.bin",
        "b.weight": "pytorch_model-00002-of-00002.bin",
    }
    index = {"metadata": {"total_size": 8}, "weight_map": weight_map}
    (model / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (model / "config.json").write_text('{"model_type": "tiny"}')
    (model / "README.md").write_text("# A model\n")
    (model / "sub" / "vocab.txt").write_text("a\nb\n")
    (model / "training_args.bin").write_bytes(
        checkpoint(Made("transformers.TrainingArguments", state={"lr": 1}))
    )
    (model / "optimizer.pt").write_bytes(
        checkpoint({"state": {0: {"exp_avg": W}}, "param_groups": [{"lr": 1.0}]})
    )
    (model / "evil.pkl").write_bytes(b"\x80\x02" + SHELL + b"N.")
    return model


def listed(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_repository(repository: Path) -> None:
    receipt = converted(repository)
    out = repository.with_name("chat-safetensors")
    assert listed(out) == [
        "README.md", "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "model.safetensors.index.json", "sub/vocab.txt",
    ]  # fmt: skip
    assert json.loads((out / "model.safetensors.index.json").read_text()) == {
        "metadata": {"total_size": 8},
        "weight_map": {
            "a.weight": "model-00001-of-00002.safetensors",
            "b.weight": "model-00002-of-00002.safetensors",
        },
    }
    assert {gone.path: gone.why for gone in receipt.dropped if gone.kind is Kind.FILE} == {
        "evil.pkl": "something dangerous was found in it",
        "optimizer.pt": "optimizer state",
        "pytorch_model.bin.index.json": "the index of files that were converted",
        "training_args.bin": "a pytorch-zip file that is not proved safe",
    }
    assert receipt.dangerous
    assert [(one.path, one.origin) for one in receipt.outputs if one.origin] == [
        (name, name) for name in ("README.md", "config.json", "sub/vocab.txt")
    ]


def test_what_is_asked_to_be_dropped_is_dropped(repository: Path) -> None:
    receipt = converted(repository, drop=("sub", "README.md"))
    assert "README.md" not in listed(repository.with_name("chat-safetensors"))
    why = {gone.path: gone.why for gone in receipt.dropped}
    assert why["sub/vocab.txt"] == why["README.md"] == "left out as asked"
    assert refusal(repository, drop=("nowhere",), out=str(repository.parent / "other")).code == "no-such-path"


def test_weights_that_are_there_twice_are_kept_once(tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.mkdir()
    content = {"w": ("F32", (2, 2), floats(1, 2, 3, 4))}
    (model / "model.safetensors").write_bytes(models.safetensors(content))
    (model / "pytorch_model.bin").write_bytes(checkpoint({"w": W, "tied": W}))
    (model / "other.bin").write_bytes(checkpoint({"w": tensor("F32", (1,), floats(8))}))
    receipt = converted(model)
    out = tmp_path / "m-safetensors"
    assert listed(out) == ["model.safetensors", "other.safetensors"]
    assert (out / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert [(gone.path, gone.why) for gone in receipt.dropped] == [
        ("pytorch_model.bin", "the same tensors stand in model.safetensors")
    ]


def test_other_weights_of_one_name_get_another(tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.mkdir()
    (model / "model.safetensors").write_bytes(models.safetensors({"w": ("F32", (1,), floats(1))}))
    (model / "pytorch_model.bin").write_bytes(checkpoint({"w": tensor("F32", (1,), floats(2))}))
    receipt = converted(model)
    assert listed(tmp_path / "m-safetensors") == ["model.safetensors", "pytorch_model.safetensors"]
    assert receipt.equality.equal == 1


def test_two_shards_with_one_name_are_refused(tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.mkdir()
    for number in (1, 2):
        (model / f"x-0000{number}-of-00002.bin").write_bytes(
            checkpoint({"w": tensor("F32", (1,), floats(number))})
        )
    assert refusal(model).code == "tensor-ambiguous"


def test_weights_that_nobody_can_list_stop_the_work(repository: Path) -> None:
    (repository / "more.ckpt").write_bytes(b"no weights at all")
    error = refusal(repository)
    assert error.code == "not-convertible"
    assert error.hints == ("--drop more.ckpt",)
    assert converted(repository, drop=("more.ckpt",)).equality.equal == 2


# -- where it goes


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    out.write_text("mine")
    assert refusal(tmp_path / "a.pt", checkpoint({"w": W})).code == "file-exists"
    assert out.read_text() == "mine"
    converted(tmp_path / "a.pt", force=True)
    assert list(read(out).tensors) == ["w"]


def test_a_folder_with_files_of_somebody_is_never_replaced(repository: Path) -> None:
    out = repository.with_name("chat-safetensors")
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    error = refusal(repository, force=True)
    assert error.code == "file-exists"
    assert "notes.txt" in error.message
    assert listed(out) == ["notes.txt"]
    (out / "notes.txt").unlink()
    converted(repository, force=True)
    first = listed(out)
    converted(repository, force=True)
    assert listed(out) == first


@pytest.mark.parametrize("out", ["chat/inside", "chat", "."])
def test_the_copy_never_lies_in_the_model(
    out: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.parent)
    with pytest.raises(UsageError) as caught:
        convert(Recipe(path="chat", out=out, force=True), now=NOW)
    assert caught.value.code == "output-inside-model"


def test_the_model_itself_is_never_the_copy(tmp_path: Path) -> None:
    content = {"w": ("F32", (1,), floats(1))}
    error = refusal(tmp_path / "a.safetensors", models.safetensors(content), force=True)
    assert error.code == "output-inside-model"


def test_no_folder_to_write_to(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "a.pt", checkpoint({"w": W}), out=str(tmp_path / "no/where")).code
        == "cannot-write"
    )


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from weighbridge.cli.app import main
main(["convert", "a.npy"])
"""


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(models.npy("<f4", (100_000,), bytes(400_000)))
    done = subprocess.run([sys.executable, "-c", LIMITED], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "[disk]" in done.stderr) == (4, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_a_copy_that_is_not_equal_is_never_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if memory or disk changed a byte between reading and writing."""
    (tmp_path / "a.pt").write_bytes(checkpoint({"w": W}))
    from weighbridge.convert import copying

    real = copying.content
    seen: list[TensorRef] = []

    def flipped(ref, source):
        seen.append(ref)
        yield from (bytes([piece[0] ^ 1]) + piece[1:] for piece in real(ref, source))

    monkeypatch.setattr(copying, "content", flipped)
    error = refusal(tmp_path / "a.pt")
    assert error.code == "file-changed"
    assert len(seen) == 1
    assert measured.content is real


def test_a_write_that_lies_is_found_by_reading_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pt").write_bytes(checkpoint({"w": W}))
    from weighbridge.convert import safetensors

    real = safetensors.write

    def write(path, *arguments):
        real(path, *arguments)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    monkeypatch.setattr(safetensors, "write", write)
    error = refusal(tmp_path / "a.pt")
    assert (type(error), error.code) == (BrokenError, "conversion-unequal")


# -- memory

MEASURED = """
import resource, sys
from datetime import UTC, datetime
from weighbridge.convert import Recipe, convert
done = convert(Recipe(path=sys.argv[1]), now=datetime.now(UTC))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, done.receipt.equality.equal)
"""


def peak(path: Path) -> tuple[int, int]:
    """Kilobytes of memory at most, and tensors that were found equal."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True
    )
    memory, equal = done.stdout.split()
    return int(memory), int(equal)


@pytest.mark.parametrize("fortran", [False, True])
def test_memory_does_not_grow_with_the_model(fortran: bool, tmp_path: Path) -> None:
    columns = 20 if fortran else 300
    small, _ = peak_of(tmp_path / "small.npy", columns, rows=1, fortran=False)
    large, equal = peak_of(tmp_path / "large.npy", columns, rows=256 * 1024, fortran=fortran)
    assert equal == 1
    assert large - small < (120_000 if fortran else 30_000)


def peak_of(path: Path, columns: int, *, rows: int, fortran: bool) -> tuple[int, int]:
    """A sparse file: zeros that no disk holds."""
    with path.open("wb") as file:
        file.write(models.npy("<f4", (rows, columns), b"", fortran=fortran))
        file.truncate(file.tell() + rows * columns * 4)
    return peak(path)


def test_a_deflated_member_is_unpacked_piece_by_piece(tmp_path: Path) -> None:
    data = models.npz({"w": models.npy("<f4", (1000,), floats(*range(1000)))}, zipfile.ZIP_DEFLATED)
    converted(tmp_path / "a.npz", data)
    assert read(tmp_path / "a.safetensors").tensors["w"][2] == floats(*range(1000))


def test_gguf_needs_an_architecture_and_types_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(checkpoint({"w": W, "h": tensor("F16", (3,), bytes(6))}))
    assert refusal(tmp_path / "a.pt", target=Target.GGUF).code == "architecture-needed"
    receipt = converted(tmp_path / "a.pt", target=Target.GGUF, architecture="tiny")
    assert receipt.source.tensors_digest == receipt.output.tensors_digest
    assert receipt.equality.equal == 2
    error = refusal(
        tmp_path / "b.pt", checkpoint({"u": tensor("U8", (1,), b"x")}), target=Target.GGUF, architecture="t"
    )
    assert (type(error), error.code) == (UsageError, "not-lossless")
    assert "GGUF has no type U8" in error.message
