"""One recorded run: what is measured before the start, what after the end, and whether that may be stated.

    begin(wish) → Recording → the step runs → end(exit code) → RunOutcome, with the signed statements left beside

A statement says that these materials were there, unchanged, from before the start to after the end, and that the products
stood there then. That the step read them, and nothing else, is the recorder's word. Where a material or the code
changed meanwhile nothing is stated: nobody could say what the products came from.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.attest.predicates.training import Training
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.moment import write_moment
from weighbridge.core.statement import Named
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.core.version import __version__
from weighbridge.pipeline import git, host, redact
from weighbridge.pipeline.environment import Installed, Listing
from weighbridge.pipeline.material import (
    Measured,
    Stamps,
    changed,
    material_of,
    measured,
    named_once,
    stamps,
    untouched,
)
from weighbridge.pipeline.reason import Reason
from weighbridge.pipeline.statements import leave_beside, run_lines
from weighbridge.pipeline.wish import Wish, check_wish
from weighbridge.sign.signer import AnySigner

if TYPE_CHECKING:
    from weighbridge.pipeline.permission import Permit

RECORDER = f"weighbridge {__version__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What became of a run."""

    exit_code: int
    run: Training
    products: tuple[Named, ...] = ()
    written: tuple[str, ...] = ()
    """Files of statements; () where nothing is stated."""
    problems: tuple[Reason, ...] = ()
    """Why nothing is stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A run that has begun."""

    wish: Wish
    materials: tuple[Measured, ...]
    before: tuple[Stamps, ...]
    """Of each product."""
    code: git.Code | None
    environment: Installed
    started: datetime
    plan: str = ""


def begin(
    wish: Wish,
    *,
    permit: "Callable[[Sequence[Measured], git.Code | None], Permit] | None" = None,
    installed: Installed | None = None,
    clock: Callable[[], datetime],
) -> Recording:
    """Measure what goes in. `permit` says whether the run may start, and under which plan.

    Raises what `check_wish` and `measured` raise, `InputError` (`environment-unread`), and `StepRefused`.
    """
    check_wish(wish)
    listing = Listing(wish.command) if installed is None else None
    try:
        ignored = [*(one.path for one in wish.materials), *places_of(wish.products)]
        code = git.look(wish.folder, ignored)
        materials = tuple(measured(one.path) for one in wish.materials)
        plan = permit(materials, code).plan if permit else ""
        environment = listing.result() if listing else installed or ()
    finally:
        if listing:
            listing.stop()
    before = tuple(stamps(product) for product in wish.products)
    return Recording(
        wish=wish, materials=materials, before=before, code=code, environment=environment,
        started=clock(), plan=plan,
    )  # fmt: skip


def places_of(products: Sequence[Path]) -> list[Path]:
    """The products, and the statements beside them."""
    from weighbridge.evidence import statements_path

    return [place for product in products for place in (product, statements_path(product))]


def end(
    recording: Recording,
    exit_code: int,
    signers: Sequence[AnySigner],
    *,
    now: datetime,
    parameters: Sequence[tuple[str, str]] = (),
) -> RunOutcome:
    """Measure what came out and state it. Raises what signing and writing raise; nothing is then left half."""
    wish = recording.wish
    run = _told(recording, exit_code, now, parameters)
    if exit_code != 0 and not wish.keep_failed:
        problem = Reason(
            code="run-failed", why=f"the step ended with {exit_code}, so nothing is stated about it"
        )
        return RunOutcome(exit_code=exit_code, run=run, problems=(problem,))
    problems = [*_changes(recording)]
    products: list[Measured] = []
    for product, before in zip(wish.products, recording.before, strict=True):
        try:
            products.append(_product(product, before))
        except (InputError, UsageError) as error:
            problems.append(Reason(code="product-missing", why=error.message))
    if problems:
        return RunOutcome(exit_code=exit_code, run=run, problems=tuple(problems))
    subjects = named_once(products)
    lines = run_lines(run, subjects, signers)
    written = tuple(str(leave_beside(product, lines)) for product in wish.products)
    return RunOutcome(exit_code=exit_code, run=run, products=subjects, written=tuple(dict.fromkeys(written)))


def _product(path: Path, before: Stamps) -> Measured:
    if untouched(path, before):
        raise UsageError(
            "product-missing",
            f'"{visible(str(path))}" is as it was before the start: the run did not make it',
        )
    if not path.exists():
        raise UsageError("product-missing", f'the run left nothing at "{visible(str(path))}"')
    return measured(path)


def _changes(recording: Recording) -> list[Reason]:
    """What was not the same after the end as before the start."""
    said = [changed(one) for one in recording.materials]
    found = [Reason(code="material-changed", why=why) for why in said if why]
    before = recording.code
    if before is None:
        return found
    ignored = [*(one.path for one in recording.materials), *places_of(recording.wish.products)]
    after = git.look(recording.wish.folder, ignored, untracked=False)
    moved = after is None or after.git.commit != before.git.commit
    if moved or (after is not None and after.git.dirty and not before.git.dirty):
        why = "the code was changed during the run, so nobody can say which code made the products"
        found.append(Reason(code="code-changed", why=why))
    return found


def _told(
    recording: Recording, exit_code: int, finished: datetime, parameters: Sequence[tuple[str, str]]
) -> Training:
    wish = recording.wish
    pairs = zip(wish.materials, recording.materials, strict=True)
    code = recording.code.git if recording.code else None
    return Training(
        name=wish.name,
        command=redact.command(wish.command),
        materials=tuple(material_of(given, found, wish.name) for given, found in pairs),
        parameters=tuple(dict((*wish.parameters, *parameters)).items()),
        environment=recording.environment,
        git=code,
        host=host.facts(wish.host),
        started=write_moment(recording.started, "milliseconds"),
        finished=write_moment(finished, "milliseconds"),
        exit_code=exit_code,
        plan=recording.plan,
        recorder=RECORDER,
    )


def settings(rows: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Settings that are to be written down. Raises `UsageError` (`setting-secret`) for one that looks like a secret."""
    for name, value in rows:
        if redact.is_secret(name, value):
            raise UsageError(
                "setting-secret",
                f'"{visible(redact.text(name), 80)}" looks like a secret, and what is written down is for everybody',
                "leave it out: the step gets it all the same",
            )
    return tuple(rows)
