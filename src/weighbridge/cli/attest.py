"""`weighbridge attest`: state something about a model or data set and sign it; or list what is stated about it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.attest.predicates import KINDS
from weighbridge.cli import options as shared
from weighbridge.cli.transform import transform_options

if TYPE_CHECKING:
    from weighbridge.attest.attestation import Attestation
    from weighbridge.attest.predicates import Kind
    from weighbridge.attest.step import Material
    from weighbridge.attest.subject import Subject
    from weighbridge.core.report import Report
    from weighbridge.core.statement import Named, Statement

EXAMPLES = (
    'weighbridge attest ./model --type review --approve --role safety --comment "twenty cases" --key ann.key',
    "weighbridge attest ./data --type dataset --predicate dataset.json --key steward.key",
    "weighbridge attest ./model --type scan --scan --key ci.key",
    "weighbridge attest ./model --list --key ann.pub",
)
MAX_PREDICATE = 16 * 1024**2
ELSEWHERE = {"recall": "weighbridge recall add", "plan": "weighbridge plan"}
"""Kinds whose subject is not the model, and the commands that write them."""
MATERIALS = {"dataset": "sources", "training": "materials", "transform": "parents"}
"""Kind → the field of its predicate that takes `--material`."""


def configure(parser: argparse.ArgumentParser) -> None:
    """What is said, about what, and who signs."""
    parser.add_argument("model", metavar="MODEL", help="a model's or data set's folder or file")
    _statement_options(parser)
    transform_options(parser)
    group = shared.signer(
        parser, required=False, text="sign with this private key; with --list: a public key to trust"
    )
    shared.add(group, (
        shared.switch("--unsigned", "print the bare statement, which proves nothing"),
        shared.value("--trust", "DIR", f"with --list: {shared.KEYRING}"),
    ))  # fmt: skip
    shared.output(parser, shared.BOTH)
    shared.limits(parser)


def _statement_options(parser: argparse.ArgumentParser) -> None:
    words = [kind.word for kind in KINDS]
    shared.group(parser, "Statement", (
        shared.value("--type", "KIND", f"what kind of statement: {', '.join(words)}", choices=words),
        shared.value("--predicate", "FILE.json", "what is said, as docs/predicates.md describes it"),
        shared.switch("--approve", "review: I looked at it and approve it"),
        shared.switch("--reject", "review: I looked at it and reject it"),
        shared.value("--role", "ROLE", "review: in which role"),
        shared.value("--comment", "TEXT", "review: for people"),
        shared.many("--material", "PATH|DIGEST[:RELATION]",
                    "dataset, training, transform: what went in; measured, or a digest as it stands in statements"),
        shared.switch("--scan", "scan: look now, and state what is seen"),
        shared.many("--experimental", "KIND=VERSION",
                    "write a vocabulary that is still a proposal, such as eval-result=v0.1"),
        shared.value("--bind", "WHAT", "digests that name the subject: both (default, where it has tensors), files or tensors",
                     choices=("both", "files", "tensors"), default="both"),
        shared.value("--out", "FILE", "where it goes; MODEL.attestations.jsonl when left out"),
        shared.switch("--list", "show what is stated beside MODEL and who signed it"),
    ))  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """State and sign, or list."""

    return _list(options) if options.list else _state(options)


# -- state


def _state(options: argparse.Namespace) -> int:
    from weighbridge.cli.keys import open_signers
    from weighbridge.core.durable import refuse_no_folder
    from weighbridge.core.statement import write_statement
    from weighbridge.evidence import statements_path
    from weighbridge.pipeline.statements import append, signed_lines

    kind = _kind(options)
    target = Path(options.out) if options.out else statements_path(Path(options.model))
    signers = [] if options.unsigned else open_signers(options)
    if not options.unsigned or options.out:
        refuse_no_folder(target)
    statement = _statement(options, kind)
    payload = write_statement(statement)
    if signers:
        append(target, signed_lines(payload, signers))
    _say(options, statement, payload, str(target) if signers else None)
    return 0


def _kind(options: argparse.Namespace) -> "Kind":
    """Raises `UsageError` (`type-needed`, `own-command`, `experimental-needed`, `attest-unsigned`, …)."""
    from weighbridge.attest.predicates import kind_named
    from weighbridge.core.errors import UsageError

    kind = kind_named(options.type or "")
    if kind is None:
        hints = ("--type review --approve", "--list shows what is stated")
        raise UsageError("type-needed", "attest needs to know what kind of statement it is", *hints)
    if kind.word in ELSEWHERE:
        raise UsageError(
            "own-command",
            f'a statement of the kind "{kind.word}" is about more than one model',
            ELSEWHERE[kind.word],
        )
    if kind.experimental and f"{kind.word}={kind.experimental}" not in (options.experimental or ()):
        raise UsageError(
            "experimental-needed",
            f'"{kind.word}" is a proposal that may still change',
            f"--experimental {kind.word}={kind.experimental}",
        )
    if not options.key and not options.unsigned:
        raise UsageError(
            "attest-unsigned", "an unsigned statement proves nothing, and no key was given",
            "--key KEY, which weighbridge key new makes", "--unsigned prints the bare statement",
        )  # fmt: skip
    return kind


def _statement(options: argparse.Namespace, kind: "Kind") -> "Statement":
    """What is to be said, read again as strictly as everybody else will read it."""
    from weighbridge.attest import predicates
    from weighbridge.core.errors import InputError, UsageError
    from weighbridge.core.statement import Statement

    if kind.word == "transform" and options.parents:
        from weighbridge.cli.transform import related

        found = related(options)
        said = predicates.write(kind, found.transform)
        return Statement(subjects=(_bound(found.child, options),), predicate_type=kind.type, predicate=said)
    subject, said = _scanned(options) if options.scan else (_subject(options), _said(options, kind))
    statement = Statement(subjects=(subject,), predicate_type=kind.type, predicate=said)
    try:
        value = predicates.read(statement, "the predicate")
        predicates.step_of(statement, "the predicate")
    except InputError as error:
        raise UsageError(error.code, error.message, f"docs/predicates/{kind.word}.md") from None
    if kind.word == "check" and f"weighbridge-files-v1-{value.files}" not in subject.digests:
        raise UsageError("subject-differs", "the verdict is about other files than these")
    return statement


def _said(options: argparse.Namespace, kind: "Kind") -> dict[str, Any]:
    """The predicate from the file and the words. Raises `UsageError` (`predicate-needed`, `bad-option`)."""
    from weighbridge.core.errors import UsageError

    words = options.approve or options.reject or options.role or options.comment
    if words and (kind.word != "review" or (options.approve and options.reject) or options.predicate):
        raise UsageError(
            "bad-option", "--approve, --reject, --role and --comment make one review, and nothing else"
        )
    if words:
        return _review(options)
    said = _from_file(options.predicate) if options.predicate else {}
    if options.material:
        said |= _materials(options, kind)
    if not said:
        raise UsageError(
            "predicate-needed",
            f'nothing is said: "{kind.word}" needs its predicate',
            f"--predicate FILE.json, see docs/predicates/{kind.word}.md",
        )
    return said


def _review(options: argparse.Namespace) -> dict[str, Any]:
    from weighbridge.attest.predicates.review import Decision, Review, write

    decision = (
        Decision.APPROVE if options.approve else Decision.REJECT if options.reject else Decision.COMMENT
    )
    return write(
        Review(decision=decision, time=_now(), role=options.role or "", comment=options.comment or "")
    )


def _from_file(path: str) -> dict[str, Any]:
    from weighbridge.core.errors import InputError, LimitError, UsageError
    from weighbridge.core.text import visible
    from weighbridge.core.wire import read_json
    from weighbridge.store import read_beside

    data = read_beside(Path(path), MAX_PREDICATE)
    if data is None:
        raise UsageError("no-such-path", f'there is no predicate at "{visible(path)}"')
    try:
        said = read_json(data, f'"{visible(path)}"', limit=MAX_PREDICATE)
    except (InputError, LimitError) as error:
        raise UsageError(error.code, error.message) from None
    if not isinstance(said, dict):
        raise UsageError("bad-predicate", f'"{visible(path)}" is no JSON object')
    return said


def _materials(options: argparse.Namespace, kind: "Kind") -> dict[str, Any]:
    from weighbridge.attest import fields
    from weighbridge.core.errors import UsageError

    place = MATERIALS.get(kind.word)
    if place is None:
        raise UsageError("bad-option", f'--material says nothing in a statement of the kind "{kind.word}"')
    return {place: fields.write_materials(_material(text, options) for text in options.material)}


def _material(text: str, options: argparse.Namespace) -> "Material":
    """`PATH`, `ALGORITHM:HEX`, either with `:RELATION` behind it. Raises `UsageError`."""
    from weighbridge.attest.step import Material, Relation
    from weighbridge.core.errors import InputError
    from weighbridge.core.statement import read_digest

    rest, colon, word = text.rpartition(":")
    known = colon and word.replace("-", "_") in tuple(Relation)
    rest, relation = (rest, Relation(word.replace("-", "_"))) if known else (text, Relation.DERIVED_FROM)
    if not Path(rest).exists():
        try:
            return Material(what=read_digest(rest), relation=relation)
        except InputError:
            pass  # then it is a path that is not there, and measuring it says so
    return Material(what=_named(rest, options), relation=relation)


def _subject(options: argparse.Namespace) -> "Named":
    return _bound(_named(options.model, options), options)


def _named(path: str, options: argparse.Namespace) -> "Named":
    """Measured whole. Raises `InputError` where a file of it cannot be read: a part is not the whole."""
    from weighbridge.cli.measuring import progress_line
    from weighbridge.core.value import replace
    from weighbridge.pipeline.material import measured
    from weighbridge.store import Links

    with progress_line([path], options) as progress:
        found = measured(
            Path(path),
            links=Links(options.links),
            jobs=options.jobs,
            seconds=options.timeout,
            progress=progress,
        )
    return replace(found.what, others=())


def _bound(what: "Named", options: argparse.Namespace) -> "Named":
    from weighbridge.core.errors import UsageError
    from weighbridge.core.value import replace

    if options.bind == "files":
        return replace(what, tensors=None)
    if options.bind == "tensors" and what.tensors is None:
        raise UsageError("no-digest", f'"{what.name}" has no tensor-set digest to bind to', "--bind files")
    return replace(what, files=None) if options.bind == "tensors" else what


def _scanned(options: argparse.Namespace) -> "tuple[Named, dict[str, Any]]":
    """What the scanner sees now, and the files that it saw: one read of the bytes."""
    from datetime import UTC, datetime

    from weighbridge.attest.predicates import scan
    from weighbridge.check import Ask, Request, weigh
    from weighbridge.cli.measuring import progress_line
    from weighbridge.cli.request import chosen_limits
    from weighbridge.core.budget import Limits
    from weighbridge.core.errors import UsageError
    from weighbridge.core.manifest import Digest
    from weighbridge.core.statement import Named
    from weighbridge.policy import default_policy
    from weighbridge.store import Links

    if options.type != "scan" or options.predicate:
        raise UsageError("bad-option", "--scan makes the statement of --type scan by itself")
    request = Request(
        paths=(options.model,), command="scan", ask=frozenset({Ask.CONTENT}), policy=default_policy(), keyring=None,
        now=datetime.now(UTC), links=Links(options.links), limits=chosen_limits(options, Limits()), jobs=options.jobs,
    )  # fmt: skip
    with progress_line([options.model], options) as progress:
        report = weigh(request, progress)
    about = report.subject
    if about.files_digest is None:
        raise UsageError("no-digest", f'"{about.name}" has no digest, so nothing can be stated about it')
    tensors = Digest.parse(about.tensors_digest) if about.tensors_digest else None
    named = Named(name=about.name, files=Digest.parse(about.files_digest), tensors=tensors)
    return _bound(named, options), scan.write(_as_scan(report))


MOST_FINDINGS = 1000


def _as_scan(report: "Report") -> Any:
    from weighbridge.attest.predicates.scan import Counts, Scan, Seen
    from weighbridge.core.evidence import Outcome, worst

    by_severity = {
        word: sum(one.severity == word for one in report.findings) for word in ("error", "warning", "note")
    }
    unknown = [Outcome.UNKNOWN] if report.unread else []
    return Scan(
        scanner="weighbridge",
        version=report.tool_version,
        outcome=worst([*(file.outcome for file in report.files), *unknown]),
        counts=Counts(
            files=report.subject.files,
            errors=by_severity["error"],
            warnings=by_severity["warning"],
            notes=by_severity["note"],
            unread=len(report.unread),
            suppressed=len(report.suppressed),
        ),
        time=report.started or _now(),
        findings=tuple(
            Seen(
                one.rule, str(one.severity), str(one.confidence), one.place.path, one.place.where, one.message
            )
            for one in report.findings[:MOST_FINDINGS]
        ),
        findings_more=max(0, len(report.findings) - MOST_FINDINGS),
    )


def _now() -> str:
    from datetime import UTC, datetime

    from weighbridge.core.moment import write_moment

    return write_moment(datetime.now(UTC))


def _say(options: argparse.Namespace, statement: "Statement", payload: bytes, left: str | None) -> None:
    import hashlib

    from weighbridge.attest import predicates
    from weighbridge.cli.output import schema, tell, write
    from weighbridge.core.text import visible
    from weighbridge.core.wire import read_json
    from weighbridge.report.summary import short_digest

    digest = f"sha256:{hashlib.sha256(payload).hexdigest()}"
    if left is None and options.out:
        from weighbridge.core.durable import write_file

        write_file(Path(options.out), payload + b"\n")
    body = {"schema": schema("attest"), "command": "attest", "statement": digest, "signed": left is not None,
            "written": left or options.out, "document": read_json(payload, "the statement")}  # fmt: skip
    if left is None and not options.out and options.format == "human":
        write(payload.decode(), options.output)
        return
    subject = statement.subjects[0]
    lines = [
        f"{'stated' if left else 'unsigned':<8}{visible(predicates.say(statement), 200)}",
        f"about   {visible(subject.name)}  {', '.join(short_digest(one) for one in subject.digests)}",
        f"digest  {digest}",
        f"wrote   {visible(left or options.out or '')}" + ("" if left else ", unsigned: it proves nothing"),
    ]
    tell(options, body, lines)


# -- list


def _list(options: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from weighbridge.attest.attestation import judge_all
    from weighbridge.attest.subject import subject_of
    from weighbridge.cli.measuring import measured
    from weighbridge.cli.output import schema, tell
    from weighbridge.cli.request import chosen_keyring, chosen_policy
    from weighbridge.core.errors import ExitCode
    from weighbridge.evidence.find import find_statements

    keyring = chosen_keyring(options, chosen_policy(None, (options.model,)), options.model)
    bundles = find_statements(Path(options.model))
    found = judge_all(bundles, keyring.anchors, keyring.authorities, datetime.now(UTC))
    model = measured(options.model, options, tensors=True)
    subject = subject_of(model.name, model.manifest, single=Path(options.model).is_file())
    rows = [_row(one, subject) for one in found]
    body = {
        "schema": schema("attest"),
        "command": "attest",
        "subject": list(subject.what.digests),
        "statements": rows,
    }
    code = int(ExitCode.UNDECIDED if any(row["code"] for row in rows) else ExitCode.DONE)
    return tell(options, body, _lines(options.model, rows), code=code, verdict=-1)


def _row(one: "Attestation", subject: "Subject") -> dict[str, Any]:
    from weighbridge.attest import predicates
    from weighbridge.attest.predicates import kind_of
    from weighbridge.attest.subject import Index
    from weighbridge.core.errors import InputError

    said, code, why = "", one.code, one.why
    kind = kind_of(one.statement.predicate_type) if one.statement else None
    if one.statement is not None:
        try:
            said = predicates.say(one.statement)
        except InputError as error:
            code, why = error.code, error.message
    about = bool(Index([one], subject).about(subject.what))
    return {
        "source": one.source,
        "statement": one.digest if one.statement else None,
        "kind": kind.word if kind else None,
        "type": one.statement.predicate_type if one.statement else None,
        "about_this": about,
        "says": said,
        "signed": one.signer.outcome.value,
        "by": one.signer.by,
        "signed_why": one.signer.why,
        "signed_code": one.signer.code,
        "code": code,
        "why": why,
    }


def _lines(model: str, rows: list[dict[str, Any]]) -> list[str]:
    from weighbridge.core.text import counted, visible

    lines = []
    for row in rows:
        mark = {"pass": "✓", "fail": "✗"}.get(row["signed"], "?") if not row["code"] else "?"
        what = row["kind"] or visible(row["type"] or "unreadable", 60)
        other = "" if row["about_this"] or row["code"] else "  (about another model)"
        lines.append(f"{mark} {what:<16}{visible(row['says'] or row['why'], 160)}{other}")
        lines.append(f"    {visible(row['by'] or row['signed_why'], 160)}  {visible(row['source'], 80)}")
    return [*lines, f"{visible(model)}: {counted(len(rows), 'statement')}"]
