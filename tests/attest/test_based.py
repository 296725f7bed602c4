"""Is an adapter used with the base that it was signed for: the row `based`, the command and `load`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import weighbridge
from tests.statements import Person, judged, thing
from weighbridge.attest.based import based
from weighbridge.attest.predicates.transform import Proof, Transform, Transformed
from weighbridge.attest.step import Material, Relation
from weighbridge.attest.subject import Subject
from weighbridge.cli import app
from weighbridge.core.manifest import Digest
from weighbridge.core.refused import LoadRefused
from weighbridge.core.statement import Named
from weighbridge.core.value import replace

ANNA, BEN, EVE = Person("anna"), Person("ben"), Person("eve")
ADAPTER = thing("lora", 1)


def weights(name: str, number: int, files: int | None = None) -> Named:
    tensors = Digest("blake3", number.to_bytes(32))
    return Named(name=name, tensors=tensors, files=Digest("sha256", files.to_bytes(32)) if files else None)


BASE, OTHER = weights("base", 2), weights("other", 3)


def adapter_of(who: Person, *bases: Named, kind: Transformed = Transformed.ADAPTER) -> bytes:
    parents = tuple(Material(what=base) for base in bases)
    return who.states("transform", Transform(kind=kind, parents=parents, proof=Proof.CLAIMED), ADAPTER)


def answer(lines: bytes, base: Named | None, *people: Person) -> tuple[str, str]:
    row = based(Subject(what=ADAPTER), base, judged(lines, people or (ANNA, BEN)))
    assert row.question == "based"
    return row.outcome.value, row.code


@pytest.mark.parametrize(
    ("lines", "base", "expected"),
    [
        (adapter_of(ANNA, BASE), BASE, ("pass", "")),
        (adapter_of(ANNA, BASE), replace(BASE, name="called otherwise"), ("pass", "")),
        (adapter_of(ANNA, BASE), weights("base", 2, files=9), ("pass", "")),
        (adapter_of(ANNA, weights("base", 2, files=8)), weights("base", 2, files=9), ("fail", "base-other")),
        (adapter_of(ANNA, BASE), OTHER, ("fail", "base-other")),
        (adapter_of(ANNA, BASE), replace(OTHER, name="base"), ("fail", "base-other")),
        (adapter_of(ANNA, BASE), None, ("unknown", "base-not-given")),
        (adapter_of(ANNA, BASE), Named(name="unreadable"), ("unknown", "base-incomparable")),
        (adapter_of(ANNA, BASE), thing("base", 2), ("unknown", "base-incomparable")),
        (b"", BASE, ("unknown", "base-unstated")),
        (b"", None, ("unknown", "base-unstated")),
        (adapter_of(EVE, BASE), BASE, ("unknown", "base-claimed")),
        (adapter_of(EVE, BASE), OTHER, ("unknown", "base-claimed")),
        # A stranger neither adds a base nor takes one away.
        (adapter_of(ANNA, BASE) + adapter_of(EVE, OTHER), OTHER, ("fail", "base-other")),
        (adapter_of(ANNA, BASE) + adapter_of(EVE, OTHER), BASE, ("pass", "")),
        # Two whom we trust may each have signed it for a base.
        (adapter_of(ANNA, BASE) + adapter_of(BEN, OTHER), OTHER, ("pass", "")),
        # Other ways in which something comes from something are not this one.
        (adapter_of(ANNA, BASE, kind=Transformed.MERGED), BASE, ("unknown", "base-unstated")),
        (ANNA.reviewed(ADAPTER), BASE, ("unknown", "base-unstated")),
        (ANNA.ran("train", ADAPTER, (Relation.ADAPTER_OF, BASE)), BASE, ("pass", "")),
        (ANNA.ran("train", ADAPTER, (Relation.ADAPTER_OF, BASE)), OTHER, ("fail", "base-other")),
        # About another adapter.
        (ANNA.ran("train", thing("another", 7), (Relation.ADAPTER_OF, BASE)), BASE, ("unknown", "base-unstated")),
        (adapter_of(ANNA, ADAPTER), BASE, ("unknown", "base-incomparable")),
    ],
)  # fmt: skip
def test_only_the_base_that_somebody_trusted_signed(lines: bytes, base: Any, expected: Any) -> None:
    assert answer(lines, base) == expected


def test_who_is_trusted_decides() -> None:
    assert answer(adapter_of(EVE, BASE), BASE, EVE) == ("pass", "")
    assert answer(adapter_of(ANNA, BASE), BASE, EVE) == ("unknown", "base-claimed")


def test_a_statement_that_was_changed_counts_for_nothing() -> None:
    line = json.loads(adapter_of(ANNA, BASE))
    line["dsseEnvelope"]["payload"] = json.loads(adapter_of(EVE, OTHER))["dsseEnvelope"]["payload"]
    row = based(Subject(what=ADAPTER), OTHER, judged(json.dumps(line).encode(), [ANNA]))
    assert (row.outcome.value, row.code) == ("unknown", "base-claimed")


# -- with real files


class Shelf:
    """A base, another one, and an adapter signed for the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        weight = np.arange(32, dtype=np.float32).reshape(8, 4)
        self.base, self.other = (
            self._model(name, add) for name, add in (("base", weight), ("other", weight + 1))
        )
        self.adapter = folder / "lora"
        self.adapter.mkdir()
        halves = {
            "base_model.model.q.lora_A.weight": np.ones((2, 4), np.float32),
            "base_model.model.q.lora_B.weight": np.ones((8, 2), np.float32),
        }
        save_file(halves, self.adapter / "adapter_model.safetensors")
        config = {"peft_type": "LORA", "lora_alpha": 4, "r": 2, "target_modules": ["q"]}
        (self.adapter / "adapter_config.json").write_text(json.dumps(config))
        self.private, self.public = ANNA.leave(folder)
        assert run("sign", self.adapter, "--key", self.private) == 0

    def _model(self, name: str, weight: Any) -> Path:
        (self.folder / name).mkdir()
        save_file({"q.weight": weight}, self.folder / name / "model.safetensors")
        return self.folder / name

    def states(self, *words: object) -> int:
        return run("attest", self.adapter, "--type", "transform", "--key", self.private, *words)

    def check(self, *words: object) -> tuple[int, str]:
        report = self.folder / "report.json"
        code = run(
            "check", self.adapter, "--key", self.public, "--format", "json", "-o", report, *words
        )  # fmt: skip
        rows = json.loads(report.read_bytes())["evidence"]
        return code, next((row["outcome"] for row in rows if row["question"] == "based"), "")


def run(*words: object) -> int:
    return app.run([str(word) for word in words])


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return Shelf(tmp_path)


def test_check_refuses_another_base(shelf: Shelf) -> None:
    assert shelf.check() == (0, "")
    assert shelf.check("--base", shelf.base) == (3, "unknown")
    assert shelf.states("--from", shelf.base) == 0
    assert shelf.check("--base", shelf.base) == (0, "pass")
    assert shelf.check("--base", shelf.other) == (1, "fail")
    assert shelf.check() == (0, "unknown")  # shown, and decides nothing where nobody asks
    assert run("check", shelf.adapter, "--key", shelf.public, "--base", shelf.folder / "none") == 2


def test_the_same_weights_in_other_files_are_the_same_base(shelf: Shelf) -> None:
    assert shelf.states("--from", shelf.base, "--kind", "adapter") == 0
    (shelf.base / "README.md").write_text("a typo less")
    (shelf.base / "model.safetensors").rename(shelf.base / "weights.safetensors")
    assert shelf.check("--base", shelf.base) == (0, "pass")


def test_a_policy_that_requires_a_base(shelf: Shelf) -> None:
    policy = shelf.folder / "adapters.toml"
    policy.write_text('[policy]\nname = "adapters"\nbase = "required"\n')
    assert shelf.check("--policy", policy) == (3, "unknown")
    assert shelf.states("--from", shelf.base) == 0
    assert shelf.check("--policy", policy) == (3, "unknown")
    assert shelf.check("--policy", policy, "--base", shelf.base) == (0, "pass")
    policy.write_text('[policy]\nbase = "required"\nunknown = { based = "refuse" }\n')
    assert shelf.check("--policy", policy) == (1, "unknown")


def test_a_stranger_cannot_say_it(shelf: Shelf) -> None:
    stranger, _ = EVE.leave(shelf.folder)
    assert run("attest", shelf.adapter, "--type", "transform", "--from", shelf.base, "--key", stranger) == 0
    assert shelf.check("--base", shelf.base) == (3, "unknown")


@pytest.mark.parametrize("tensors", [None, ["base_model.model.q.lora_A.weight"]])
def test_load_refuses_another_base(tensors: list[str] | None, shelf: Shelf) -> None:
    asked: dict[str, Any] = {"key": shelf.public, "tensors": tensors}
    with pytest.raises(LoadRefused, match="based"):
        weighbridge.load(shelf.adapter, base=shelf.base, **asked)
    assert shelf.states("--from", shelf.base) == 0
    assert "base_model.model.q.lora_A.weight" in weighbridge.load(shelf.adapter, base=shelf.base, **asked)
    with pytest.raises(LoadRefused, match="another model"):
        weighbridge.load(shelf.adapter, base=shelf.other, **asked)


def test_load_knows_an_adapter_that_was_signed_with_blake3(shelf: Shelf) -> None:
    assert run("sign", shelf.adapter, "--key", shelf.private, "--hash", "blake3") == 0
    assert shelf.states("--from", shelf.base) == 0
    assert weighbridge.load(shelf.adapter, key=shelf.public, base=shelf.base)
