"""Differences: files by path, tensors by place, layers in words."""

from weighbridge.core.difference import layer_summary, tensor_changes
from weighbridge.core.manifest import Difference, Entry, Manifest, TensorEntry
from weighbridge.measure import difference
from weighbridge.measure.diff import same_content


def entry(path: str, content: int = 0, **fields: bytes | None) -> Entry:
    return Entry(path, 1, **({"sha256": bytes([content]) * 32} | fields))


def tensor(name: str, content: int = 0, path: str = "model.safetensors") -> TensorEntry:
    return TensorEntry(name, "F32", (2, 2), bytes([content]) * 32, path)


def test_files_and_tensors() -> None:
    old = Manifest(
        entries=(entry("a"), entry("b"), entry("c")),
        tensors=(tensor("x"), tensor("y"), tensor("z", path="old.gguf")),
    )
    new = Manifest(
        entries=(entry("b", 1), entry("c"), entry("d")),
        tensors=(tensor("y", 1, "new.bin"), tensor("z", path="new.bin"), tensor("w")),
    )
    assert difference(old, new) == Difference(
        changed=("b",),
        added=("d",),
        removed=("a",),
        tensors_changed=("y",),
        tensors_added=("w",),
        tensors_removed=("x",),
    )
    assert difference(old, old).empty


def test_unknown_tensors_are_not_compared() -> None:
    known, unknown = Manifest(entries=(), tensors=(tensor("x"),)), Manifest(entries=())
    assert difference(known, unknown) == Difference()
    assert tensor_changes(known.tensors, unknown.tensors) is None
    assert tensor_changes((tensor("x"), tensor("x", 1)), ()) is None


def test_folders_tell_tensors_apart() -> None:
    old = [tensor("w", path="unet/m.safetensors"), tensor("w", 1, path="vae/m.safetensors")]
    new = [tensor("w", 2, path="unet/m.safetensors"), tensor("w", 1, path="vae/m-00001-of-00001.safetensors")]
    assert tensor_changes(old, new) == (("unet › w",), (), ())


def test_sets_that_come_to_disagree_are_a_change() -> None:
    old = [tensor("w", path="a.gguf"), tensor("w", path="b.gguf")]
    new = [tensor("w", path="a.gguf"), tensor("w", 1, path="b.gguf")]
    assert tensor_changes(old, new) == (("w",), (), ())
    assert tensor_changes(old, old[:1]) == ((), (), ())


def test_a_file_without_a_common_digest_counts_as_changed() -> None:
    assert same_content(entry("a"), entry("a"))
    assert not same_content(entry("a"), entry("a", sha256=None))
    assert not same_content(entry("a", sha256=None), entry("a", sha256=None))
    assert same_content(entry("a", blake3=b"1"), entry("a", sha256=None, blake3=b"1"))
    assert not same_content(entry("a", blake3=b"1"), entry("a", blake3=b"2"))
    assert not same_content(entry("a"), entry("a")._replace(size=2))


def test_layers_in_words() -> None:
    names = [
        "model.layers.17.a",
        "model.layers.17.b",
        "model.layers.17.c",
        "model.layers.2.a",
        "lm_head.weight",
    ]
    assert layer_summary(names) == (
        "1 tensor of layer 2 differs",
        "3 tensors of layer 17 differ",
        "1 tensor outside layers differs: lm_head.weight",
    )
    assert layer_summary(["blk.3.attn_q.weight", "blk.3.b"]) == ("2 tensors of layer 3 differ",)
    assert layer_summary(["h.0.attn"], "added") == ("1 tensor of layer 0 added",)
    assert layer_summary(["a", "b", "c", "d"]) == ("4 tensors differ: a, b, c, …",)
    assert layer_summary([]) == ()
    assert layer_summary(["encoder.layer.1.x", "decoder.layer.1.x"]) == (
        "1 tensor of decoder.layer.1 differs",
        "1 tensor of encoder.layer.1 differs",
    )


def test_hostile_names_are_made_visible() -> None:
    assert layer_summary(["\x1b[31mred"]) == ("1 tensor differs: \\x1b[31mred",)


def test_hostile_tensor_names_are_cheap_and_harmless() -> None:
    names = ("a." * 50_000 + "1", "1" * 100_000, "\x1b[2J.7.x", "." * 50_000, "layer." * 20_000 + "7.x", "")
    lines = layer_summary(names)
    assert all(len(line) < 1000 and line.isprintable() for line in lines)
