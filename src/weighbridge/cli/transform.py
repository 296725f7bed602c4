"""`weighbridge transform`: how a model was made from others, and what of it can be proved; or, is a statement true.

`attest --type transform` signs what is shown here.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from weighbridge.attest.predicates.transform import Transform
    from weighbridge.convert.relate import Checked, Related, Row
    from weighbridge.convert.relate_sides import Work
    from weighbridge.core.statement import Statement
    from weighbridge.sign.bundle import Bundle

EXAMPLES = (
    "weighbridge transform chat-7b-f16 --from chat-7b",
    "weighbridge transform chat-7b-merged --from chat-7b --from support-lora --kind merged",
    "weighbridge transform chat-7b-f16 --from chat-7b --against --key release.pub",
)
KINDS = ("converted", "sharded", "cast", "quantized", "merged", "adapter", "pruned")
SCHEMA = "weighbridge.transform/v1"
MOST = 10
"""Tensors that are shown on the screen; `-v` shows every one, JSON always."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The child, its parents, and the statement to hold against them."""
    shared.model(parser)
    transform_options(parser)
    group = parser.add_argument_group("Statement")
    group.add_argument(
        "--against",
        metavar="FILE",
        nargs="?",
        const="",
        help="derive again what the statements in FILE, or else beside MODEL, say of it",
    )
    group.add_argument(
        "--key",
        metavar="PUBLIC.pem",
        action="append",
        help="with --against: the public key that must have signed it",
    )
    shared.output(parser, ("human", "json"))
    shared.limits(parser)


def transform_options(parser: argparse.ArgumentParser) -> None:
    """`--from --kind`: also of `attest --type transform`."""
    group = parser.add_argument_group("Transform")
    group.add_argument(
        "--from",
        metavar="PARENT",
        dest="parents",
        action="append",
        help="a model that MODEL was made from; may be given several times",
    )
    group.add_argument(
        "--kind",
        metavar="KIND",
        choices=KINDS,
        help=f"what was done: {', '.join(KINDS)}; found out when left out, and refused when it is not so",
    )


def run(options: argparse.Namespace) -> int:
    """Show what can be proved; or derive again what was said."""
    from weighbridge.cli.output import refuse_output

    refuse_output(options.output)
    return _again(options) if options.against is not None else _show(options)


def related(options: argparse.Namespace) -> "Related":
    """What can be proved of `options.model` and `options.parents`. Raises `UsageError` (`transform-untrue`, …), `InputError`."""
    from weighbridge.attest.predicates.transform import Transformed
    from weighbridge.cli.measuring import progress_line
    from weighbridge.convert.relate import relate

    _refuse_no_parent(options)
    kind = Transformed(options.kind) if options.kind else None
    with progress_line([options.model, *options.parents], options) as progress:
        return relate(options.parents, options.model, kind, work=_work(options, progress), time=_now())


def _refuse_no_parent(options: argparse.Namespace) -> None:
    from weighbridge.core.errors import UsageError

    if not options.parents:
        raise UsageError("transform-unclear", "no parent was named", "--from PARENT")


def _now() -> str:
    from datetime import UTC, datetime

    from weighbridge.core.moment import write_moment

    return write_moment(datetime.now(UTC))


def _work(options: argparse.Namespace, progress: Any) -> "Work":
    from weighbridge.check import bundles_of
    from weighbridge.cli.request import chosen_limits
    from weighbridge.convert.relate_sides import Work
    from weighbridge.core.budget import Limits
    from weighbridge.store import Links

    return Work(
        exclude={path: bundles_of(Path(path))[1] for path in (options.model, *options.parents)},
        links=Links(options.links),
        limits=chosen_limits(options, Limits()),
        jobs=options.jobs,
        progress=progress,
    )


# -- show


def _show(options: argparse.Namespace) -> int:
    from weighbridge.cli.output import write
    from weighbridge.core.wire import write_json

    found = related(options)
    if options.format == "json":
        write(write_json(document(found), indent=2).decode(), options.output)
    else:
        write("\n".join(_screen(found, options)), options.output)
    return 0


def document(found: "Related") -> dict[str, Any]:
    """Everything that was found, as plain values."""
    from weighbridge.attest.predicates.transform import write
    from weighbridge.core.statement import write_named

    return {
        "schema": SCHEMA,
        "command": "transform",
        "child": write_named(found.child),
        **write(found.transform),
        "counts": dict(found.counts),
        "tensors": [
            {"name": row.name, "standing": row.standing.value, "detail": row.detail} for row in found.rows
        ],
    }


def _screen(found: "Related", options: argparse.Namespace) -> Iterator[str]:
    from weighbridge.core.text import some, visible

    made = found.transform
    last = f"SHOWN  {made.kind}, {made.proof}"
    if options.quiet:
        yield last
        return
    yield f"{visible(found.child.name)}: {made.kind} from {some([one.what.name for one in made.parents])}"
    yield f"  proof    {made.proof}: {visible(made.detail, 300)}"
    if found.counts:
        yield "  tensors  " + ", ".join(f"{count} {word}" for word, count in sorted(found.counts.items()))
    yield from _rows(found.rows, every=bool(options.verbose))
    yield last


def _rows(rows: "Sequence[Row]", *, every: bool) -> Iterator[str]:
    """The tensors that were not shown to follow; every one where asked."""
    from weighbridge.convert.relate import DERIVED
    from weighbridge.core.text import visible

    shown = [row for row in rows if every or row.standing not in DERIVED]
    for row in shown if every else shown[:MOST]:
        detail = f": {visible(row.detail, 200)}" if row.detail else ""
        yield f"  {row.standing.value:<11}  {visible(row.name, 120)}{detail}"
    if not every and len(shown) > MOST:
        yield f"  and {len(shown) - MOST} more; -v shows every tensor"


# -- derive again


def _again(options: argparse.Namespace) -> int:
    from weighbridge.cli.measuring import progress_line
    from weighbridge.cli.output import write
    from weighbridge.convert.relate import check_again
    from weighbridge.core.evidence import Outcome, worst
    from weighbridge.core.text import visible
    from weighbridge.core.wire import write_json

    _refuse_no_parent(options)
    said = _statements(options)
    with progress_line([options.model, *options.parents], options) as progress:
        work = _work(options, progress)
        checked = [
            (check_again(statement, made, options.parents, options.model, work=work), by)
            for statement, made, by in said
        ]
    fitting = [(one, by) for one, by in checked if not one.other] or checked
    outcome = worst([_outcome(one, by) for one, by in fitting])
    if options.format == "json":
        body = {
            "schema": SCHEMA,
            "command": "transform",
            "outcome": outcome.value,
            "statements": [_checked(one, by) for one, by in fitting],
        }
        write(write_json(body, indent=2).decode(), options.output)
    else:
        lines = [
            f"  {_outcome(one, by).value:<8} {visible(one.why, 300)}; signed: {by[1]}" for one, by in fitting
        ]
        words = {Outcome.PASS: "HOLDS", Outcome.FAIL: "DOES NOT HOLD", Outcome.UNKNOWN: "ONLY CLAIMED"}
        write(
            "\n".join(([] if options.quiet else [visible(options.model), *lines]) + [words[outcome]]),
            options.output,
        )
    return {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNKNOWN: 3}[outcome]


Signed = tuple[str, str]
"""(`pass`, `fail` or `unknown`; why)."""


def _outcome(one: "Checked", by: Signed) -> Any:
    from weighbridge.core.evidence import Outcome

    return Outcome.FAIL if by[0] == "fail" else one.outcome


def _checked(one: "Checked", by: Signed) -> dict[str, Any]:
    found = document(one.related) if one.related else {}
    return {
        "outcome": _outcome(one, by).value,
        "why": one.why,
        "signed": by[0],
        "signed_why": by[1],
        "found": {key: found[key] for key in ("kind", "proof", "detail", "counts") if key in found},
    }


def _statements(options: argparse.Namespace) -> "list[tuple[Statement, Transform, Signed]]":
    """Each transform in the file. Raises `UsageError` (`no-such-path`, `no-transform`), `InputError`."""
    from weighbridge.attest.predicates import transform
    from weighbridge.core.errors import UsageError
    from weighbridge.core.statement import read_statement
    from weighbridge.core.text import visible
    from weighbridge.evidence import statements_path
    from weighbridge.sign.bundle import MAX_STATEMENTS_FILE, read_lines
    from weighbridge.store import read_beside

    path = Path(options.against) if options.against else statements_path(Path(options.model))
    data = read_beside(path, MAX_STATEMENTS_FILE)
    if data is None:
        raise UsageError("no-such-path", f'there are no statements at "{visible(str(path))}"')
    by_payload: dict[bytes, list[Bundle]] = {}
    for bundle in read_lines(data, path.name):
        if not bundle.code:
            by_payload.setdefault(bundle.envelope.payload, []).append(bundle)
    said: list[tuple[Statement, Transform, Signed]] = []
    for payload, bundles in by_payload.items():
        statement = read_statement(payload, f"a statement of {visible(path.name)}")
        if statement.predicate_type == transform.TYPE:
            made = transform.read(statement.predicate, "the transform")
            said.append((statement, made, _signed(bundles, options)))
    if not said:
        raise UsageError(
            "no-transform", f'"{visible(str(path))}" says nothing of how the model was made from others'
        )
    return said


def _signed(bundles: "Sequence[Bundle]", options: argparse.Namespace) -> Signed:
    """Whether one of the keys that were given has signed it."""
    from datetime import UTC, datetime

    from weighbridge.cli.keys import public_key
    from weighbridge.core.evidence import Outcome
    from weighbridge.sign.verify import check_signer

    if not options.key:
        return "unknown", "not checked, no --key was given"
    anchors = [public_key(path, Path(path).name) for path in options.key]
    checks = [check_signer(bundle, anchors, (), datetime.now(UTC)) for bundle in bundles]
    good = [check for check in checks if check.outcome is Outcome.PASS]
    return ("pass", f"by {good[0].by}") if good else ("fail", checks[0].why)
