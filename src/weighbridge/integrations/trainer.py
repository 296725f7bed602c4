"""Recording a training from within: a callback for Hugging Face's `Trainer`, and one for loops written by hand.

    trainer = Trainer(…, callbacks=[trainer_callback("train", materials=["data"], products=["out"], key="builder.key")])

The run begins before the first step and ends with the training; whoever saves the model later calls `finish()` of a
`Recorder` after saving. A training that broke off states nothing. `transformers` is imported by whoever calls
`trainer_callback`, never here.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from weighbridge.core.errors import UnavailableError
from weighbridge.pipeline.record import Record, record
from weighbridge.pipeline.run import RunOutcome

PathOrText = str | os.PathLike[str]
SETTINGS = (
    "seed", "data_seed", "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size",
    "gradient_accumulation_steps", "weight_decay", "warmup_ratio", "lr_scheduler_type", "optim", "bf16", "fp16",
)  # fmt: skip
"""Of a Trainer's arguments: the numbers that matter for doing it again, and nothing that could hold a secret."""


class Recorder:
    """For loops written by hand: `on_train_begin()`, the loop, `on_train_end()` after the model was saved."""

    def __init__(
        self,
        name: str = "train",
        *,
        materials: Sequence[PathOrText] = (),
        products: Sequence[PathOrText],
        key: Any,
        password: str | None = None,
        parameters: Mapping[str, object] | None = None,
        host: Collection[str] = (),
        plan: PathOrText | None = None,
        trust: PathOrText | None = None,
    ) -> None:
        """As `weighbridge.record`."""
        self._record: Record = record(
            name, materials=materials, products=products, key=key, password=password, parameters=parameters, host=host,
            plan=plan, trust=trust,
        )  # fmt: skip
        self._running = False

    @property
    def outcome(self) -> RunOutcome | None:
        """What was stated, after the end."""
        return self._record.outcome

    def on_train_begin(self, parameters: Mapping[str, object] | None = None) -> None:
        """Measure what goes in. Raises as `weighbridge.record`; a second call does nothing."""
        for key, value in (parameters or {}).items():
            self._record.parameters[key] = str(value)
        if not self._running:
            self._record.start()
            self._running = True

    def on_train_end(self) -> RunOutcome | None:
        """Measure what came out and state it. Raises `InputError` (`run-unstated`); without a begin it does nothing."""
        if not self._running:
            return None
        self._running = False
        return self._record.finish()

    finish = on_train_end

    def on_exception(self) -> None:
        """The training broke off: nothing is stated."""
        self._running = False
        self._record.abandon()


def trainer_callback(name: str = "train", *, save: bool = True, **wish: Any) -> Any:
    """A `transformers.TrainerCallback` that records the training; `wish` as `weighbridge.record` takes it.

    With `save` the model is saved to the first product when the training ends, since a Trainer tells its callbacks of the
    end before most scripts save. Where several processes train, only the first of them records. Raises
    `UnavailableError` (`library-missing`) where transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError:
        raise UnavailableError(
            "library-missing",
            "transformers is not installed, so there is no Trainer to record",
            'pip install "weighbridge[train]"',
        ) from None
    recorder = Recorder(name, **wish)
    target = os.fspath(wish["products"][0])

    class WeighbridgeCallback(TrainerCallback):  # type: ignore[misc] # the library may be absent while types are checked
        """Begins with the training and ends with it."""

        recording = recorder

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if _is_first(state):
                recorder.on_train_begin(_settings(args))

        def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
            if not _is_first(state):
                return
            if save and model is not None:
                model.save_pretrained(target)
                for part in (more.get("processing_class"), more.get("tokenizer")):
                    if part is not None:
                        part.save_pretrained(target)
                        break
            recorder.on_train_end()

    return WeighbridgeCallback()


def _is_first(state: Any) -> bool:
    return bool(getattr(state, "is_world_process_zero", True))


def _settings(args: Any) -> dict[str, str]:
    found = {name: getattr(args, name, None) for name in SETTINGS}
    return {name: str(value) for name, value in found.items() if isinstance(value, str | int | float)}
