"""`weighbridge.record`, and the callbacks for training loops."""

import sys
import types
from pathlib import Path

import pytest

import weighbridge
from tests.pipeline.conftest import statements
from weighbridge.core.errors import InputError, StepRefused, UnavailableError, UsageError
from weighbridge.integrations.trainer import Recorder, trainer_callback


def wish(team):
    return {"materials": ["../data"], "products": ["../out"], "key": team.key("ben")}


def train() -> None:
    Path("../out").mkdir()
    Path("../out/model.txt").write_text("trained")


def test_a_step_in_this_process(team, project, tmp_path):
    with weighbridge.record("train", **wish(team), parameters={"seed": 7}) as run:
        run.parameters["lr"] = "0.1"
        train()
    assert run.outcome.written == ("../out.attestations.jsonl",)
    said = statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]
    assert said["parameters"] == {"seed": "7", "lr": "0.1"}
    assert {row["name"] for row in said["environment"]} >= {"pytest"}
    assert said["git"]["dirty"] is False


def recorded(team, work) -> None:
    with weighbridge.record("train", **wish(team)) as run:
        train()
        work(run)


def test_an_error_goes_through_and_nothing_is_stated(team, project, tmp_path):
    with pytest.raises(ZeroDivisionError):
        recorded(team, lambda run: 1 / 0)
    assert not (tmp_path / "out.attestations.jsonl").exists()


def test_a_changed_material_is_an_error(team, project, tmp_path):
    with pytest.raises(InputError) as caught:
        recorded(team, lambda run: Path("../data/rows.csv").write_text("other"))
    assert caught.value.code == "run-unstated"
    assert "material-changed" in caught.value.message
    assert not (tmp_path / "out.attestations.jsonl").exists()


def test_a_secret_among_the_parameters(team, project, tmp_path):
    with pytest.raises(UsageError) as caught:
        recorded(team, lambda run: run.parameters.update(api_key="x"))
    assert caught.value.code == "setting-secret"
    assert not (tmp_path / "out.attestations.jsonl").exists()


def test_under_a_plan(team, project, tmp_path):
    from weighbridge.attest.predicates.plan import Plan, plan_named
    from weighbridge.pipeline import plan as plans

    named = plans.named("../data")
    plan = Plan(name="x", step="train", data=(named,), approvals=(("lead", 1), ("safety", 1)))
    digest = plans.make(plan, [team.people["anna"].signer], tmp_path / "x.jsonl")
    under = {**wish(team), "plan": tmp_path / "x.jsonl", "trust": team.trust}
    with pytest.raises(StepRefused) as caught, weighbridge.record("train", **under):
        raise AssertionError("it started")
    assert {code for code, _ in caught.value.reasons} == {"approval-missing"}
    assert "approval-missing" in str(caught.value)
    with (tmp_path / "x.jsonl").open("ab") as file:
        file.write(team.people["cleo"].reviewed(plan_named(digest), role="safety"))
        file.write(team.people["dana"].reviewed(plan_named(digest), role="lead"))
    with weighbridge.record("train", **under):
        train()
    assert statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]["plan"] == digest


def test_a_loop_written_by_hand(team, project, tmp_path):
    recorder = Recorder(**wish(team))
    assert recorder.on_train_end() is None
    recorder.on_train_begin({"seed": 3})
    train()
    assert recorder.on_train_end().written
    assert recorder.on_train_end() is None
    broken = Recorder(**wish(team))
    broken.on_train_begin()
    broken.on_exception()
    assert broken.on_train_end() is None
    assert len(statements(tmp_path / "out.attestations.jsonl")) == 2


class Callback:
    """The methods that transformers calls, in its words."""

    def on_init_end(self, args, state, control, **kwargs): ...
    def on_train_begin(self, args, state, control, **kwargs): ...
    def on_step_end(self, args, state, control, **kwargs): ...
    def on_train_end(self, args, state, control, **kwargs): ...


class Model:
    def save_pretrained(self, target):
        Path(target).mkdir(exist_ok=True)
        (Path(target) / "model.txt").write_text("trained")


@pytest.fixture
def transformers(monkeypatch):
    try:
        import transformers
    except ImportError:
        transformers = types.ModuleType("transformers")
        transformers.TrainerCallback = Callback
        monkeypatch.setitem(sys.modules, "transformers", transformers)
    return transformers


@pytest.mark.parametrize("first", [True, False])
def test_a_trainer(team, project, tmp_path, transformers, first):
    callback = trainer_callback(**wish(team))
    assert isinstance(callback, transformers.TrainerCallback)
    arguments = types.SimpleNamespace(
        seed=42, learning_rate=5e-05, hub_token="hf_secret", output_dir="../out"
    )
    state, control = types.SimpleNamespace(is_world_process_zero=first), object()
    callback.on_init_end(arguments, state, control, model=Model())
    callback.on_train_begin(arguments, state, control, model=Model())
    callback.on_step_end(arguments, state, control, model=Model())
    callback.on_train_end(arguments, state, control, model=Model(), processing_class=Model())
    left = tmp_path / "out.attestations.jsonl"
    assert left.exists() is first
    if first:
        assert statements(left)[0]["predicate"]["parameters"] == {"seed": "42", "learning_rate": "5e-05"}


def test_without_transformers(team, project, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UnavailableError) as caught:
        trainer_callback(**wish(team))
    assert caught.value.code == "library-missing"
