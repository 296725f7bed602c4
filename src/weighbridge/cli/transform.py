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
MOST = 10
"""Tensors that are shown on the screen; `-v` shows every one, JSON always."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The child, its parents, and the statement to hold against them."""
    shared.model(parser)
    transform_options(parser)
    shared.group(parser, "Statement", (
        shared.value("--against", "FILE", "derive again what the statements in FILE, or else beside MODEL, say of it",
                     nargs="?", const=""),
        shared.many("--key", "PUBLIC.pem", "with --against: the public key that must have signed it"),
    ))  # fmt: skip
    shared.output(parser, shared.BOTH)
    shared.limits(parser)


def transform_options(parser: argparse.ArgumentParser) -> None:
    """`--from --kind`: also of `attest --type transform`."""
    what = f"what was done: {', '.join(KINDS)}; found out when left out, and refused when it is not so"
    shared.group(parser, "Transform", (
        shared.many("--from", "PARENT", "a model that MODEL was made from; may be given several times",
                    dest="parents"),
        shared.value("--kind", "KIND", what, choices=KINDS),
    ))  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Show what can be proved; or derive again what was said."""

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
    from weighbridge.cli.output import tell

    found = related(options)
    return tell(options, document(found), list(_screen(found, options)), verdict=-1)


def document(found: "Related") -> dict[str, Any]:
    """Everything that was found, as plain values."""
    from weighbridge.attest.predicates.transform import write
    from weighbridge.cli.output import schema
    from weighbridge.core.statement import write_named

    return {
        "schema": schema("transform"),
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
    yield f"{visible(found.child.name)}  {_relation(made.kind)} {some([one.what.name for one in made.parents])}"
    yield f"  proof    {made.proof}: {visible(made.detail, 300)}"
    if found.counts:
        yield "  tensors  " + ", ".join(f"{count} {word}" for word, count in sorted(found.counts.items()))
    yield from _rows(found.rows, every=bool(options.verbose))
    yield last


def _relation(kind: str) -> str:
    """As the lineage and `trace` say it: `adapter of`, and `converted from` for the others."""
    return "adapter of" if kind == "adapter" else f"{kind} from"


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
    from weighbridge.cli.output import schema, tell
    from weighbridge.convert.relate import check_again
    from weighbridge.core.evidence import Outcome, worst
    from weighbridge.core.text import counted, visible

    _refuse_no_parent(options)
    said, unread = _statements(options)
    with progress_line([options.model, *options.parents], options) as progress:
        work = _work(options, progress)
        checked = [
            (check_again(statement, made, options.parents, options.model, work=work), by)
            for statement, made, by in said
        ]
    fitting = [(one, by) for one, by in checked if not one.other] or checked
    outcome = worst([*(_outcome(one, by) for one, by in fitting), *(Outcome.UNKNOWN for _ in unread)])
    body = {
        "schema": schema("transform"),
        "command": "transform",
        "outcome": outcome.value,
        "statements": [_checked(one, by) for one, by in fitting],
        "unread": [{"place": place, "code": code, "why": why} for place, code, why in unread],
    }
    lines = [visible(options.model)]
    lines += [
        f"  {_outcome(one, by).value:<8} {visible(one.why, 300)}; signed: {by[1]}" for one, by in fitting
    ]
    lines += [
        f"  unread   {visible(place, 80)}: {visible(why, 200)}   [{code}]"
        for place, code, why in unread[:MOST]
    ]
    lines += [f"  unread   and {len(unread) - MOST} more, see --format json"] if len(unread) > MOST else []
    words = {Outcome.PASS: "HOLDS", Outcome.FAIL: "DOES NOT HOLD", Outcome.UNKNOWN: "ONLY CLAIMED"}
    left = f", {counted(len(unread), 'line')} not read" if unread else ""
    if unread and outcome is Outcome.UNKNOWN:
        words[outcome] = "UNKNOWN"
    code = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNKNOWN: 3}[outcome]
    return tell(options, body, [*lines, words[outcome] + left], code=code, verdict=-1)


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


Unreadable = tuple[str, str, str]
"""(place, code, why) of a line that nobody can read: it may say something else, so it is UNKNOWN."""


def _statements(
    options: argparse.Namespace,
) -> "tuple[list[tuple[Statement, Transform, Signed]], list[Unreadable]]":
    """Each transform in the file, and what cannot be read there. Raises `UsageError` (`no-such-path`, `no-transform`)."""
    from weighbridge.core.errors import InputError, LimitError, UsageError
    from weighbridge.core.text import visible
    from weighbridge.evidence import statements_path
    from weighbridge.sign.bundle import MAX_STATEMENTS_FILE, read_lines
    from weighbridge.store import read_beside

    path = Path(options.against) if options.against else statements_path(Path(options.model))
    data = read_beside(path, MAX_STATEMENTS_FILE)
    if data is None:
        raise UsageError(
            "no-such-path", f'there are no statements at "{visible(str(path))}"', "--against FILE"
        )
    by_payload: dict[bytes, list[Bundle]] = {}
    unread: list[Unreadable] = []
    for bundle in read_lines(data, path.name):
        if bundle.code:
            unread.append((bundle.source, bundle.code, bundle.why))
        else:
            by_payload.setdefault(bundle.envelope.payload, []).append(bundle)
    said: list[tuple[Statement, Transform, Signed]] = []
    for payload, bundles in by_payload.items():
        try:
            said += _transform(payload, bundles, options)
        except (InputError, LimitError) as error:
            unread.append((bundles[0].source, error.code, error.message))
    if not said and not unread:
        raise UsageError(
            "no-transform", f'"{visible(str(path))}" says nothing of how the model was made from others',
            "weighbridge attest MODEL --type transform --from PARENT --key KEY",
        )  # fmt: skip
    return said, unread


def _transform(
    payload: bytes, bundles: "Sequence[Bundle]", options: argparse.Namespace
) -> "Iterator[tuple[Statement, Transform, Signed]]":
    from datetime import UTC, datetime

    from weighbridge.attest.predicates import transform
    from weighbridge.cli.keys import signed_by_given
    from weighbridge.core.statement import read_statement

    statement = read_statement(payload, "the statement")
    if statement.predicate_type == transform.TYPE:
        made = transform.read(statement.predicate, "the transform")
        yield statement, made, signed_by_given(bundles, options, datetime.now(UTC))
