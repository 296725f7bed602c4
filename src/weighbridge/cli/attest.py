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
SCHEMA = "weighbridge.attest/v1"
MAX_PREDICATE = 16 * 1024**2
ELSEWHERE = {"recall": "weighbridge recall add", "plan": "weighbridge plan"}
"""Kinds whose subject is not the model, and the commands that write them."""
MATERIALS = {"dataset": "sources", "training": "materials", "transform": "parents"}
"""Kind → the field of its predicate that takes `--material`."""


def configure(parser: argparse.ArgumentParser) -> None:
    """What is said, about what, and who signs."""
    parser.add_argument("model", metavar="MODEL", help="a model's or data set's folder or file")
    group = parser.add_argument_group("Statement")
    group.add_argument(
        "--type", metavar="KIND", choices=[kind.word for kind in KINDS],
        help=f"what kind of statement: {', '.join(kind.word for kind in KINDS)}",
    )  # fmt: skip
    group.add_argument(
        "--predicate", metavar="FILE.json", help="what is said, as docs/predicates.md describes it"
    )
    group.add_argument("--approve", action="store_true", help="review: I looked at it and approve it")
    group.add_argument("--reject", action="store_true", help="review: I looked at it and reject it")
    group.add_argument("--role", metavar="ROLE", help="review: in which role")
    group.add_argument("--comment", metavar="TEXT", help="review: for people")
    group.add_argument(
        "--material", metavar="PATH|DIGEST[:RELATION]", action="append",
        help="dataset, training, transform: what went in; measured, or a digest as it stands in statements",
    )  # fmt: skip
    group.add_argument("--scan", action="store_true", help="scan: look now, and state what is seen")
    group.add_argument(
        "--experimental", metavar="KIND=VERSION", action="append",
        help="write a vocabulary that is still a proposal, such as eval-result=v0.1",
    )  # fmt: skip
    group.add_argument(
        "--bind", metavar="WHAT", choices=("both", "files", "tensors"), default="both",
        help="digests that name the subject: both (default, where it has tensors), files or tensors",
    )  # fmt: skip
    group.add_argument("--out", metavar="FILE", help="where it goes; MODEL.attestations.jsonl when left out")
    group.add_argument(
        "--list", action="store_true", help="show what is stated beside MODEL and who signed it"
    )
    transform_options(parser)
    group = parser.add_argument_group("Signer")
    group.add_argument(
        "--key", metavar="KEY", action="append",
        help="sign with this private key; with --list: a public key to trust",
    )  # fmt: skip
    group.add_argument("--certificate", metavar="CHAIN.pem", help="sign as this certificate, leaf first")
    group.add_argument(
        "--password-file", metavar="FILE", help="the key's password; else WEIGHBRIDGE_PASSWORD or asked"
    )
    group.add_argument(
        "--unsigned", action="store_true", help="print the bare statement, which proves nothing"
    )
    group.add_argument(
        "--trust", metavar="DIR", help="with --list: the keyring's folder; yours when left out"
    )
    parser.set_defaults(trust_config=None, identity_token=None)
    shared.output(parser, ("human", "json"))
    shared.limits(parser)


def run(options: argparse.Namespace) -> int:
    """State and sign, or list."""
    from weighbridge.cli.output import refuse_output

    refuse_output(options.output)
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
    signers = open_signers(options) if options.key and not options.unsigned else []
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
    from weighbridge.core.statement import read_named

    rest, colon, word = text.rpartition(":")
    known = colon and word.replace("-", "_") in tuple(Relation)
    rest, relation = (rest, Relation(word.replace("-", "_"))) if known else (text, Relation.DERIVED_FROM)
    algorithm, _, value = rest.partition(":")
    if not Path(rest).exists():
        try:
            return Material(what=read_named({"digest": {algorithm: value}}, "it"), relation=relation)
        except InputError:
            pass  # then it is a path that is not there, and measuring it says so
    return Material(what=_named(rest, options), relation=relation)


def _subject(options: argparse.Namespace) -> "Named":
    return _bound(_named(options.model, options), options)


def _named(path: str, options: argparse.Namespace) -> "Named":
    """Measured whole. Raises `InputError` where a file of it cannot be read: a part is not the whole."""
    from weighbridge.attest.subject import subject_of
    from weighbridge.cli.measuring import measured
    from weighbridge.core.errors import InputError, UsageError
    from weighbridge.core.text import visible
    from weighbridge.core.value import replace

    found = measured(path, options, tensors=True)
    for item in found.unread:
        raise InputError(item.code, f'cannot state anything about "{visible(path)}": {item.message}')
    what = subject_of(found.name, found.manifest).what
    if not what.digests:
        raise UsageError("no-digest", f'"{visible(path)}" has no digest, so nothing can be stated about it')
    return replace(what, others=())


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
    from weighbridge.cli.output import write
    from weighbridge.core.text import visible
    from weighbridge.core.wire import read_json, write_json
    from weighbridge.report.summary import short_digest

    digest = f"sha256:{hashlib.sha256(payload).hexdigest()}"
    if left is None and options.out:
        from weighbridge.core.durable import write_file

        write_file(Path(options.out), payload + b"\n")
    if options.format == "json":
        body = {"schema": SCHEMA, "command": "attest", "statement": digest, "signed": left is not None,
                "written": left or options.out, "document": read_json(payload, "the statement")}  # fmt: skip
        write(write_json(body, indent=2).decode(), options.output)
    elif left is None and not options.out:
        write(payload.decode(), options.output)
    elif not options.quiet:
        subject = statement.subjects[0]
        lines = [
            f"stated  {visible(predicates.say(statement), 200)}",
            f"about   {visible(subject.name)}  {', '.join(short_digest(one) for one in subject.digests)}",
            f"digest  {digest}",
            f"wrote   {visible(left or options.out)}" + ("" if left else ", unsigned: it proves nothing"),
        ]
        write("\n".join(lines), options.output)


# -- list


def _list(options: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from weighbridge.attest.attestation import judge_all
    from weighbridge.attest.subject import subject_of
    from weighbridge.cli.measuring import measured
    from weighbridge.cli.output import write
    from weighbridge.core.errors import ExitCode
    from weighbridge.core.wire import write_json
    from weighbridge.evidence.find import find_statements

    anchors, authorities = _trusted(options)
    bundles = find_statements(Path(options.model))
    found = judge_all(bundles, anchors, authorities, datetime.now(UTC))
    model = measured(options.model, options, tensors=True)
    subject = subject_of(model.name, model.manifest, single=Path(options.model).is_file())
    rows = [_row(one, subject) for one in found]
    if options.format == "json":
        body = {
            "schema": SCHEMA,
            "command": "attest",
            "subject": list(subject.what.digests),
            "statements": rows,
        }
        write(write_json(body, indent=2).decode(), options.output)
    else:
        write("\n".join(_lines(options.model, rows)), options.output)
    return int(ExitCode.UNDECIDED if any(row["code"] for row in rows) else ExitCode.DONE)


def _trusted(options: argparse.Namespace) -> "tuple[Any, Any]":
    from weighbridge.cli.keys import public_key, trust_dir
    from weighbridge.core.errors import UsageError
    from weighbridge.trust.keyring import Keyring, load_keyring

    given = tuple(public_key(path, Path(path).name) for path in options.key or ())
    folder = trust_dir(options.trust, None)
    if options.trust and not folder.is_dir():
        raise UsageError("no-such-path", f'there is no keyring at "{folder}"', "weighbridge trust init")
    wanted = folder.is_dir() and (options.trust or not given)
    keyring = load_keyring(folder, model=options.model) if wanted else Keyring()
    return (*keyring.anchors, *given), keyring.authorities


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
