"""How a model was made from others, as far as its tensors show it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.convert.makers import checkpoint, tensor
from tests.statements import Person
from tests.tensorfiles import Gguf
from weighbridge.attest.predicates.transform import Proof, Transform, Transformed, is_plain
from weighbridge.attest.step import Material
from weighbridge.convert.relate import Related, check_again, relate
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.core.statement import Statement
from weighbridge.core.value import replace

RANDOM = np.random.default_rng(11)
WEIGHTS = {
    "embed.weight": RANDOM.normal(size=(12, 8)).astype(np.float32),
    "h.0.attn.weight": RANDOM.normal(size=(8, 8)).astype(np.float32),
    "h.0.norm.weight": np.ones(8, np.float32),
}


def model(path: Path, tensors: dict[str, Any] | None = None) -> str:
    path.parent.mkdir(exist_ok=True)
    save_file(WEIGHTS if tensors is None else tensors, path)
    return str(path)


def found(related: Related) -> tuple[str, str]:
    return related.transform.kind.value, related.transform.proof.value


def standings(related: Related) -> dict[str, str]:
    return {row.name: row.standing.value for row in related.rows}


def refused(*asked: Any) -> str:
    with pytest.raises((UsageError, InputError)) as caught:
        relate(*asked)
    return caught.value.code


@pytest.fixture
def base(tmp_path: Path) -> str:
    return model(tmp_path / "base.safetensors")


# -- equal


def test_a_pickle_and_its_safetensors_are_equal(tmp_path: Path, base: str) -> None:
    tensors = {name: tensor("F32", one.shape, one.tobytes()) for name, one in WEIGHTS.items()}
    (tmp_path / "base.pt").write_bytes(checkpoint(tensors))
    related = relate([str(tmp_path / "base.pt")], base)
    assert found(related) == ("converted", "equal-tensors")
    assert set(standings(related).values()) == {"equal"}
    statement = Statement(subjects=(related.child,), predicate_type="weighbridge.transform/v1")
    assert is_plain(statement, related.transform)


def test_shards_are_equal_to_the_whole(tmp_path: Path, base: str) -> None:
    names = list(WEIGHTS)
    for number, part in enumerate((names[:1], names[1:]), 1):
        shard = {name: WEIGHTS[name] for name in part}
        model(tmp_path / f"parts/model-{number:05}-of-00002.safetensors", shard)
    assert found(relate([base], str(tmp_path / "parts"))) == ("sharded", "equal-tensors")
    one = relate([str(path) for path in sorted((tmp_path / "parts").iterdir())], base)
    assert found(one) == ("sharded", "rederived")
    copy = model(tmp_path / "again/model.safetensors")
    assert refused([base], str(Path(copy).parent), Transformed.SHARDED) == "transform-untrue"


def test_a_wrapper_in_front_of_every_name(tmp_path: Path, base: str) -> None:
    wrapped = model(tmp_path / "wrapped.safetensors", {f"model.{name}": one for name, one in WEIGHTS.items()})
    for pair in ((base, wrapped), (wrapped, base)):
        related = relate([pair[0]], pair[1])
        assert found(related) == ("converted", "rederived")
        assert 'without "model."' in related.transform.detail


def test_swapped_names_are_another_model(tmp_path: Path) -> None:
    pair = {"q": WEIGHTS["h.0.attn.weight"], "k": WEIGHTS["h.0.attn.weight"] + 1}
    old = model(tmp_path / "old.safetensors", pair)
    new = model(tmp_path / "new.safetensors", {"q": pair["k"], "k": pair["q"]})
    assert refused([old], new) == "transform-unclear"
    assert refused([old], new, Transformed.CONVERTED) == "transform-untrue"


# -- casts


def test_a_cast_leaves_some_as_they_are(tmp_path: Path, base: str) -> None:
    half = {name: one.astype(np.float16) if one.ndim == 2 else one for name, one in WEIGHTS.items()}
    child = model(tmp_path / "half.safetensors", half)
    related = relate([base], child)
    assert found(related) == ("cast", "rederived")
    assert standings(related) == {
        "embed.weight": "cast",
        "h.0.attn.weight": "cast",
        "h.0.norm.weight": "equal",
    }
    assert related.transform.detail == "3 tensors: 2 cast, 1 equal (F32 to F16)"
    # The other way round: F16 holds less than what the F32 was, so the "cast" is none.
    assert refused([child], base) == "transform-unclear"
    assert refused([child], base, Transformed.CAST) == "transform-untrue"


@pytest.mark.parametrize("kind", ["converted", "sharded", "cast", "adapter", "quantized"])
def test_a_fine_tune_is_none_of_these(kind: str, tmp_path: Path, base: str) -> None:
    tuned = model(tmp_path / "tuned.safetensors", WEIGHTS | {"embed.weight": WEIGHTS["embed.weight"] * 1.01})
    with pytest.raises(UsageError) as caught:
        relate([base], tuned, Transformed(kind))
    assert caught.value.code == "transform-untrue"
    assert kind in ("sharded", "adapter", "quantized") or "embed.weight" in caught.value.message
    assert refused([base], tuned) == "transform-unclear"


def test_another_shape_and_another_name_are_named(tmp_path: Path, base: str) -> None:
    odd = {("h.1" if "attn" in name else name): one for name, one in WEIGHTS.items()}
    odd["embed.weight"] = WEIGHTS["embed.weight"].reshape(8, 12)
    child = model(tmp_path / "odd.safetensors", odd)
    with pytest.raises(UsageError, match=r"embed.weight, h.0.attn.weight, h.1: shape \[8, 12\]"):
        relate([base], child, Transformed.CAST)


def test_a_part_of_the_tensors_is_pruned(tmp_path: Path, base: str) -> None:
    less = {name: one for name, one in WEIGHTS.items() if "norm" not in name}
    child = model(tmp_path / "less.safetensors", less)
    related = relate([base], child)
    assert (found(related), standings(related)["h.0.norm.weight"]) == (("pruned", "rederived"), "only-parent")
    assert refused([base], child, Transformed.CONVERTED) == "transform-untrue"
    assert refused([child], base, Transformed.PRUNED) == "transform-untrue"


def test_zeroed_numbers_are_pruned(tmp_path: Path, base: str) -> None:
    thin = np.where(np.abs(WEIGHTS["embed.weight"]) < 0.5, np.float32(0), WEIGHTS["embed.weight"])
    child = model(tmp_path / "thin.safetensors", WEIGHTS | {"embed.weight": thin})
    assert found(relate([base], child)) == ("pruned", "rederived")
    assert found(relate([child], base, Transformed.PRUNED)) == ("pruned", "claimed")


def test_unknown_quantisations_are_claims(tmp_path: Path) -> None:
    numbers = RANDOM.normal(size=(2, 256)).astype("<f4")
    old = Gguf().text("general.architecture", "llama").tensor("w", (256, 2), 0, numbers.tobytes())
    new = Gguf().text("general.architecture", "llama").tensor("w", (256, 2), 12, bytes(288))
    (tmp_path / "old.gguf").write_bytes(old.bytes())
    (tmp_path / "new.gguf").write_bytes(new.bytes())
    related = relate([str(tmp_path / "old.gguf")], str(tmp_path / "new.gguf"))
    assert found(related) == ("quantized", "claimed")
    assert "F32 to Q4_K is not computed here" in related.transform.detail
    assert (
        refused([str(tmp_path / "old.gguf")], str(tmp_path / "new.gguf"), Transformed.CAST)
        == "transform-untrue"
    )


def test_empty_tensors_and_scalars(tmp_path: Path) -> None:
    odd = {"none": np.zeros((0, 8), np.float32), "one": np.float32([1.5]).reshape(())}
    old = model(tmp_path / "old.safetensors", odd)
    child = model(tmp_path / "new.safetensors", {name: one.astype(np.float16) for name, one in odd.items()})
    assert found(relate([old], child)) == ("cast", "rederived")


def test_blocks_of_another_size_are_not_computed(tmp_path: Path) -> None:
    """A type of ggml in another container may be laid out otherwise."""
    from weighbridge.convert.relate import _is_plain_size
    from weighbridge.convert.relate_sides import Work, open_side
    from weighbridge.core.budget import Budget

    side = open_side(str(Path(__file__).parent / "made/q4_0.gguf"), Work(), Budget())
    block = side.named["blk.0.attn_q.weight"]
    assert _is_plain_size(block)
    assert not _is_plain_size(block._replace(found=block.found._replace(size=block.found.size + 64)))


# -- what nobody can be the parent of


def test_nobody_is_their_own_parent(tmp_path: Path, base: str) -> None:
    copy = tmp_path / "elsewhere" / "base.safetensors"
    assert refused([base], model(copy)) == "self-parent"
    assert refused([base], base) == "self-parent"


def test_tensors_that_nobody_can_list_prove_nothing(tmp_path: Path, base: str) -> None:
    folder = tmp_path / "more"
    model(folder / "base.safetensors")
    (folder / "other.pt").write_bytes(b"no checkpoint at all, but a name of one")
    related = relate([base], str(folder), Transformed.CONVERTED)
    assert found(related) == ("converted", "claimed")
    assert related.reason.startswith("not every tensor is known")


def test_without_numpy_nothing_is_computed(
    tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = model(
        tmp_path / "half.safetensors", {name: one.astype(np.float16) for name, one in WEIGHTS.items()}
    )
    monkeypatch.setattr("weighbridge.convert.relate.numpy", lambda: None)
    related = relate([base], child)
    assert found(related) == ("cast", "claimed")
    assert "numpy is not installed" in related.reason


# -- adapters


def lora(
    folder: Path, *, rank: int = 2, alpha: float = 4.0, seed: int = 5, rows: int = 12, **config: Any
) -> str:
    """An adapter as PEFT writes it."""
    random = np.random.default_rng(seed)
    pair = {
        "base_model.model.embed.lora_A.weight": random.normal(size=(rank, 8)).astype(np.float32) / 8,
        "base_model.model.embed.lora_B.weight": random.normal(size=(rows, rank)).astype(np.float32) / 8,
    }
    model(folder / "adapter_model.safetensors", pair)
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": ["embed"], **config}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return str(folder)


def update(folder: str, scale: float = 2.0) -> np.ndarray[Any, Any]:
    from safetensors.numpy import load_file

    halves = load_file(Path(folder) / "adapter_model.safetensors")
    a, b = (halves[f"base_model.model.embed.lora_{half}.weight"] for half in "AB")
    return np.float32(scale) * (b @ a)


def merge(path: Path, change: Any, dtype: Any = np.float32) -> str:
    merged = (WEIGHTS["embed.weight"] + change).astype(dtype)
    return model(path, WEIGHTS | {"embed.weight": merged})


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_merge_is_computed_again(dtype: Any, tmp_path: Path, base: str) -> None:
    adapter = lora(tmp_path / "lora")
    child = merge(tmp_path / "merged.safetensors", update(adapter), dtype)
    related = relate([base, adapter], child)
    assert found(related) == ("merged", "rederived")
    assert standings(related)["embed.weight"] == "merged"
    assert "tolerance" in related.transform.detail


@pytest.mark.parametrize(
    ("change", "config"),
    [
        (lambda delta: delta * 1.01, {}),
        (lambda delta: delta / 2, {}),
        (lambda delta: delta, {"use_dora": True}),
        (lambda delta: delta, {"use_rslora": True}),
        (lambda delta: delta, {"alpha_pattern": {"emb.*": 4}}),
        (lambda delta: delta, {"lora_alpha": "4"}),
        (lambda delta: delta, {"peft_type": "LOHA"}),
    ],
)
def test_any_other_merge_is_a_claim(change: Any, config: Any, tmp_path: Path, base: str) -> None:
    adapter = lora(tmp_path / "lora", **config)
    child = merge(tmp_path / "merged.safetensors", change(update(adapter)))
    assert found(relate([base, adapter], child)) == ("merged", "claimed")


def test_scales_as_peft_computes_them(tmp_path: Path, base: str) -> None:
    stable = lora(tmp_path / "stable", use_rslora=True)
    child = merge(tmp_path / "stable.safetensors", update(stable, 4 / np.sqrt(2)))
    assert found(relate([base, stable], child)) == ("merged", "rederived")
    own = lora(tmp_path / "own", alpha_pattern={"embed": 6})
    child = merge(tmp_path / "own.safetensors", update(own, 3.0))
    assert found(relate([base, own], child)) == ("merged", "rederived")
    turned = lora(tmp_path / "turned", rows=8, fan_in_fan_out=True)
    halves = update(turned).T
    path = model(tmp_path / "square.safetensors", {"embed.weight": WEIGHTS["h.0.attn.weight"]})
    child = model(tmp_path / "t.safetensors", {"embed.weight": WEIGHTS["h.0.attn.weight"] + halves})
    assert found(relate([path, turned], child)) == ("merged", "rederived")


def test_huge_factors_hide_nothing(tmp_path: Path, base: str) -> None:
    """B · A is small, |B| · |A| is not: a tolerance made of that would let any weights pass."""
    halves = {
        "base_model.model.embed.lora_A.weight": np.ones((2, 8), np.float32) * 1e9,
        "base_model.model.embed.lora_B.weight": np.tile(np.array([[1e9, -1e9]], np.float32), (12, 1)),
    }
    folder = tmp_path / "huge"
    model(folder / "adapter_model.safetensors", halves)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 2, "r": 2}))
    child = merge(tmp_path / "merged.safetensors", np.float32(0.5))
    assert found(relate([base, str(folder)], child)) == ("merged", "claimed")
    huge = lora(tmp_path / "alpha", alpha=1e38)
    child = merge(tmp_path / "other.safetensors", np.float32(0.5))
    assert found(relate([base, huge], child)) == ("merged", "claimed")


def test_a_merge_that_changed_something_else_too(tmp_path: Path, base: str) -> None:
    adapter = lora(tmp_path / "lora")
    merged = WEIGHTS["embed.weight"] + update(adapter)
    other = WEIGHTS["h.0.attn.weight"].copy()
    other[0, 0] += 1
    child = model(
        tmp_path / "merged.safetensors", WEIGHTS | {"embed.weight": merged, "h.0.attn.weight": other}
    )
    related = relate([base, adapter], child)
    assert (found(related), standings(related)["h.0.attn.weight"]) == (("merged", "claimed"), "changed")


def test_nothing_merged_is_no_merge(tmp_path: Path, base: str) -> None:
    adapter = lora(tmp_path / "lora")
    same = model(tmp_path / "same" / "model.safetensors")
    assert refused([base, adapter], same) == "transform-untrue"


def test_an_adapter_names_its_base_by_its_tensors(tmp_path: Path, base: str) -> None:
    related = relate([base], lora(tmp_path / "lora"))
    assert found(related) == ("adapter", "claimed")
    (parent,) = related.transform.parents
    assert (parent.what.files, parent.what.tensors is None) == (None, False)


def test_an_adapter_that_does_not_fit_its_base(tmp_path: Path, base: str) -> None:
    assert refused([base], lora(tmp_path / "wide", rows=13)) == "adapter-misfit"
    other = model(tmp_path / "other.safetensors", {"else.weight": WEIGHTS["embed.weight"]})
    assert refused([other], lora(tmp_path / "lora")) == "adapter-misfit"
    assert refused([base, other], lora(tmp_path / "two"), Transformed.ADAPTER) == "transform-unclear"
    assert refused([lora(tmp_path / "lora")], base, Transformed.ADAPTER) == "transform-untrue"


def test_a_name_of_many_dots_costs_nothing(tmp_path: Path) -> None:
    from weighbridge.convert.relate_lora import place_of

    assert place_of("a." * 2_000_000 + "w", {"w": None}) == ""  # type: ignore[dict-item]
    assert place_of("base.model.h.w", {"h.w": None}) == "h.w"  # type: ignore[dict-item]


def test_gguf_adapters(tmp_path: Path) -> None:
    numbers = RANDOM.normal(size=(4, 8)).astype("<f4")
    a, b = RANDOM.normal(size=(2, 8)).astype("<f4"), RANDOM.normal(size=(4, 2)).astype("<f4")
    scale = np.float32(3.0)

    def plain(weight: Any) -> Gguf:
        gguf = Gguf().text("general.architecture", "llama").text("general.type", "model")
        return gguf.tensor("blk.0.attn_q.weight", (8, 4), 0, weight.tobytes())

    adapter = Gguf().text("general.type", "adapter").text("adapter.type", "lora")
    adapter.pair("adapter.lora.alpha", 6, np.float32(6).tobytes())
    adapter.tensor("blk.0.attn_q.weight.lora_a", (8, 2), 0, a.tobytes())
    adapter.tensor("blk.0.attn_q.weight.lora_b", (2, 4), 0, b.tobytes())
    files = {"base": plain(numbers), "lora": adapter, "merged": plain(numbers + scale * (b @ a))}
    for name, made in files.items():
        (tmp_path / f"{name}.gguf").write_bytes(made.bytes())
    base, low, merged = (str(tmp_path / f"{name}.gguf") for name in files)
    assert found(relate([base], low)) == ("adapter", "claimed")
    assert found(relate([base, low], merged)) == ("merged", "rederived")


@pytest.mark.parametrize("config", [b"[]", b'{"peft_type": "LORA", "peft_type": "LORA"}', b"{", b"\xff"])
def test_a_configuration_that_is_none(config: bytes, tmp_path: Path, base: str) -> None:
    folder = lora(tmp_path / "lora")
    (Path(folder) / "adapter_config.json").write_bytes(config)
    assert refused([base], folder) in ("bad-json", "duplicate-key")


# -- derived again


def stated(related: Related, **more: Any) -> tuple[Statement, Transform]:
    made = replace(related.transform, **more)
    return Statement(subjects=(related.child,), predicate_type="weighbridge.transform/v1"), made


def test_a_true_statement_holds_again(tmp_path: Path, base: str) -> None:
    child = model(
        tmp_path / "half.safetensors", {name: one.astype(np.float16) for name, one in WEIGHTS.items()}
    )
    statement, made = stated(relate([base], child))
    assert check_again(statement, made, [base], child).outcome is Outcome.PASS
    # Parent and child swapped, another parent, another child, more than was shown.
    swapped = check_again(statement, made, [child], base)
    assert swapped.outcome is Outcome.FAIL
    other = model(tmp_path / "other.safetensors", {name: one + 1 for name, one in WEIGHTS.items()})
    assert check_again(statement, made, [other], child).outcome is Outcome.FAIL
    assert check_again(statement, made, [base], other).outcome is Outcome.FAIL
    more = replace(made, proof=Proof.EQUAL_TENSORS)
    assert check_again(statement, more, [base], child).outcome is Outcome.FAIL


def test_a_claim_stays_a_claim(tmp_path: Path, base: str) -> None:
    statement, made = stated(relate([base], lora(tmp_path / "lora")))
    assert check_again(statement, made, [base], str(tmp_path / "lora")).outcome is Outcome.UNKNOWN


def test_an_equality_that_the_digests_do_not_show(tmp_path: Path, base: str) -> None:
    tensors = {name: tensor("F32", one.shape, one.tobytes()) for name, one in WEIGHTS.items()}
    (tmp_path / "base.pt").write_bytes(checkpoint(tensors))
    related = relate([str(tmp_path / "base.pt")], base)
    statement, made = stated(related)
    assert check_again(statement, made, [str(tmp_path / "base.pt")], base).outcome is Outcome.PASS
    bare = tuple(Material(what=replace(one.what, tensors=None)) for one in made.parents)
    less = check_again(statement, replace(made, parents=bare), [str(tmp_path / "base.pt")], base)
    assert (less.outcome, "do not show" in less.why) == (Outcome.FAIL, True)


# -- the command


def run(*words: str) -> int:
    from weighbridge.cli import app

    return app.run(list(words) if words[0] == "attest" else ["transform", *words])


def test_the_command_states_and_checks(
    tmp_path: Path, base: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    private, public = Person("anna").leave(tmp_path)
    child = model(
        tmp_path / "half.safetensors", {name: one.astype(np.float16) for name, one in WEIGHTS.items()}
    )
    assert run(child, "--from", base) == 0
    assert not (tmp_path / "half.safetensors.attestations.jsonl").exists()
    capsysbinary.readouterr()
    assert run(child, "--from", base, "--format", "json") == 0
    told = json.loads(capsysbinary.readouterr().out)
    assert (told["kind"], told["proof"], told["counts"]) == ("cast", "rederived", {"cast": 3})
    assert run("attest", child, "--type", "transform", "--from", base, "--key", str(private)) == 0
    assert b"cast from 1 parent, rederived" in capsysbinary.readouterr().out
    again = (child, "--from", base, "--against", "--format", "json")
    assert run(*again, "--key", str(public)) == 0
    assert json.loads(capsysbinary.readouterr().out)["statements"][0]["signed"] == "pass"
    stranger = Person("eve").leave(tmp_path)[1]
    assert run(*again, "--key", str(stranger)) == 1
    tuned = model(tmp_path / "tuned.safetensors", {name: one + 1 for name, one in WEIGHTS.items()})
    assert run(tuned, "--from", base, "--against", f"{child}.attestations.jsonl") == 1


def test_the_command_refuses_what_is_not_so(tmp_path: Path, base: str) -> None:
    tuned = model(tmp_path / "tuned.safetensors", {name: one + 1 for name, one in WEIGHTS.items()})
    assert run(tuned, "--from", base, "--kind", "cast") == 2
    private, _ = Person("anna").leave(tmp_path)
    signed = ("--type", "transform", "--kind", "cast", "--key", str(private))
    assert run("attest", tuned, "--from", base, *signed) == 2
    assert not (tmp_path / "tuned.safetensors.attestations.jsonl").exists()
    assert run(tuned) == 2
    assert run(tuned, "--from", base, "--against") == 2
