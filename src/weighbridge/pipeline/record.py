"""`weighbridge.record`: a step that runs in this process, recorded.

    with weighbridge.record("train", materials=["data", "base"], products=["out"], key="builder.key") as run:
        run.parameters["seed"] = "7"
        train()

An error in the block goes through, and nothing is stated. Where the block ended well and nothing can be stated,
`InputError` (`run-unstated`) says why. This is a door, as a command is: the clock and the environment are read here.
"""

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from weighbridge.core.errors import InputError
from weighbridge.pipeline.environment import installed_here
from weighbridge.pipeline.material import inputs_of
from weighbridge.pipeline.run import Recording, RunOutcome, begin, end, settings
from weighbridge.pipeline.wish import Wish
from weighbridge.sign.signer import AnySigner, open_signer

if TYPE_CHECKING:
    from weighbridge.pipeline.permission import Permitting

PathOrText = str | os.PathLike[str]


class Record:
    """A step while it runs; the context manager that `record` gives."""

    parameters: dict[str, str]
    """Seeds and settings to be written down; filled at any time before the end."""
    outcome: RunOutcome | None
    """What was stated, after the end."""

    def __init__(
        self, wish: Wish, signers: Sequence[AnySigner], plan: PathOrText | None, trust: PathOrText | None
    ) -> None:
        self._wish, self._signers, self._plan, self._trust = wish, signers, plan, trust
        self._recording: Recording | None = None
        self.parameters = {}
        self.outcome = None

    def __enter__(self) -> Self:
        self._recording = begin(self._wish, permit=self._permit(), installed=installed_here(), clock=_now)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        recording, self._recording = self._recording, None
        if recording is None or kind is not None:
            return
        said = settings([(name, str(value)) for name, value in self.parameters.items()])
        self.outcome = end(recording, 0, self._signers, now=_now(), parameters=said)
        for problem in self.outcome.problems:
            raise InputError(
                "run-unstated", f"nothing is stated about the run: {problem.why} ({problem.code})"
            )

    def start(self) -> Self:
        """The same as entering the block, for callbacks."""
        return self.__enter__()

    def finish(self) -> "RunOutcome | None":
        """The same as leaving the block without an error."""
        self.__exit__(None, None, None)
        return self.outcome

    def abandon(self) -> None:
        """Leave it without a statement."""
        self._recording = None

    def _permit(self) -> "Permitting | None":
        if self._plan is None:
            return None
        from weighbridge.pipeline.permission import permit_of
        from weighbridge.trust.keyring import keyring_dir, load_keyring

        keyring = load_keyring(keyring_dir(self._trust, os.environ, Path.home()))
        return permit_of(Path(self._plan), keyring, self._wish, self._signers, clock=_now)


def record(
    name: str,
    *,
    materials: Sequence[PathOrText] = (),
    products: Sequence[PathOrText],
    key: PathOrText | Sequence[AnySigner],
    password: str | None = None,
    parameters: Mapping[str, object] | None = None,
    host: Collection[str] = (),
    plan: PathOrText | None = None,
    trust: PathOrText | None = None,
) -> Record:
    """Record a step that runs in this process; use it with `with`.

    `materials` as `weighbridge run --materials` takes them, `key` a private key's path or URI, or signers that are open.
    `plan` refuses to start where the approved plan does not allow it, by the keyring at `trust`. Raises
    `UsageError`, `TrustError`, `InputError`, `StepRefused`.
    """
    given = [os.fspath(one) for one in materials]
    said = settings([(name, str(value)) for name, value in (parameters or {}).items()])
    wish = Wish(
        name=name,
        materials=inputs_of(given),
        products=tuple(Path(one) for one in products),
        command=tuple(getattr(sys, "orig_argv", ()) or (sys.executable, *sys.argv)),
        parameters=said,
        host=frozenset(host),
    )
    return Record(wish, _signers(key, password), plan, trust)


def _now() -> datetime:
    return datetime.now(UTC)


def _signers(key: PathOrText | Sequence[AnySigner], password: str | None) -> Sequence[AnySigner]:
    if isinstance(key, str | os.PathLike):
        return [open_signer(os.fspath(key), password=password or os.environ.get("WEIGHBRIDGE_PASSWORD"))]
    return key
