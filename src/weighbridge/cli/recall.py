"""`weighbridge recall`: call back what turned out to be bad, show a list, take a newer one over."""

import argparse
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from weighbridge.attest.predicates.recall import Recall, RecallEntry
    from weighbridge.core.statement import Named
    from weighbridge.sign.signer import AnySigner
    from weighbridge.trust.keyring import Keyring

EXAMPLES = (
    'weighbridge recall add ./xray-data --kind dataset --reason "labels were poisoned" --signing-key recall.key',
    "weighbridge recall update recalls.jsonl",
)
SCHEMA = "weighbridge.recall/v1"


def configure(parser: argparse.ArgumentParser) -> None:
    """add, lift, issue, show, update."""
    commands = parser.add_subparsers(
        dest="verb", metavar="add|lift|issue|show|update", required=True, parser_class=shared.Parser
    )
    what = "a model's or data set's folder, file or digest; PUBLIC.pem; name@version"
    adding = commands.add_parser("add", help="write the next version of a list, with one thing more")
    adding.add_argument("target", metavar="TARGET", help=what)
    adding.add_argument(
        "--reason", metavar="TEXT", required=True, help="why, in one line, for whoever is refused"
    )
    adding.add_argument("--warn", action="store_true", help="warn only: the answer becomes UNKNOWN, not FAIL")
    adding.add_argument(
        "--since",
        metavar="DAY",
        type=shared.day,
        help="from when on it is bad; what a trusted time proves to be older stands",
    )
    lifting = commands.add_parser("lift", help="write the next version, without one thing")
    lifting.add_argument("target", metavar="TARGET", help=what)
    issuing = commands.add_parser(
        "issue", help="write the next version with the same in it, to keep it fresh"
    )
    for command in (adding, lifting):
        command.add_argument(
            "--kind",
            choices=("model", "dataset", "signer", "tool"),
            default="model",
            help="what TARGET is; model when left out",
        )
    adding.add_argument(
        "--lineage",
        metavar="DB",
        help="say what comes of it by this lineage; the policy's when left out",
    )
    for command in (adding, lifting, issuing):
        _writing(command)
    showing = commands.add_parser("show", help="say what a list calls back, who signed it and how old it is")
    showing.add_argument(
        "list", metavar="FILE", nargs="?", help="a list; what this machine remembers when left out"
    )
    updating = commands.add_parser(
        "update", help="remember a list on this machine; an older one than was seen is refused"
    )
    updating.add_argument("list", metavar="FILE", help="the list")
    for command in (adding, lifting, issuing, showing, updating):
        shared.output(command, ("human", "json"))
        shared.trust(command)
        shared.policy(command)


def _writing(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("List")
    group.add_argument("--list", metavar="FILE", default="recalls.jsonl", help="the list (recalls.jsonl)")
    group.add_argument(
        "--next-in", metavar="DAYS", type=shared.positive, help="promise the next list within so many days"
    )
    group.add_argument(
        "--log-size",
        metavar="N",
        type=shared.positive,
        help="entries of the log by now, a clock that cannot be set back",
    )
    group.add_argument(
        "--signing-key",
        metavar="KEY",
        action="append",
        required=True,
        help="sign with this private key, pkcs11: URI or sigstore:",
    )
    group.add_argument(
        "--password-file", metavar="FILE", help="the key's password; else WEIGHBRIDGE_PASSWORD or asked"
    )
    command.set_defaults(certificate=None, trust_config=None, identity_token=None)


def run(options: argparse.Namespace) -> int:
    """One of the five."""
    from weighbridge.cli.output import refuse_output

    refuse_output(options.output)
    return {"show": _show, "update": _update}.get(options.verb, _write)(options)


def _keyring(options: argparse.Namespace) -> "Keyring":
    """Whom this machine believes; a key of the command line may call back, since it was named for that."""
    from weighbridge.cli.request import chosen_keyring, chosen_policy
    from weighbridge.core.value import replace

    keyring = chosen_keyring(options, chosen_policy(options.policy, ()), None)
    if not (options.key or options.root or options.trusted_root):
        return keyring
    anchors = tuple(replace(one, roles=tuple({*one.roles, "recall"})) for one in keyring.anchors)
    return replace(keyring, anchors=anchors)


def _write(options: argparse.Namespace) -> int:
    from weighbridge.core.moment import write_moment
    from weighbridge.recall import lists

    now = datetime.now(UTC)
    promised = write_moment(now + timedelta(days=options.next_in)) if options.next_in else ""
    recall = lists.add(
        Path(options.list),
        [_entry(options, now)] if options.verb == "add" else [],
        _signers(options),
        _keyring(options),
        now,
        lift=[_target(options)] if options.verb == "lift" else [],
        next_expected=promised,
        log_size=options.log_size,
    )
    word = {"add": "RECALLED", "lift": "LIFTED", "issue": "ISSUED"}[options.verb]
    more = {"list": options.list, **(_reach(options, recall.entries[-1]) if options.verb == "add" else {})}
    lines = [f"{word}  {options.list}  version {recall.version}", *_entries(recall)]
    _answer(options, {**_said(recall), **more}, [*lines, *_reached(more.get("descendants"))])
    return 0


def _reach(options: argparse.Namespace, entry: "RecallEntry") -> dict[str, Any]:
    """What comes of what was called back, as far as a lineage knows; nothing where no lineage is named."""
    from weighbridge.cli.request import chosen_policy

    place = options.lineage or chosen_policy(options.policy, ()).settings.evidence.lineage
    if not place:
        return {}
    from weighbridge.lineage import ask
    from weighbridge.lineage.graph import Lineage

    with Lineage(place) as lineage:
        answer = ask.descendants(lineage, entry.subject.digests)
    rows = [{"name": row.node.title, "keys": list(row.node.keys), "sure": row.sure} for row in answer.rows]
    return {"descendants": {"total": answer.total, "sure": answer.sure, "shown": rows}}


def _entry(options: argparse.Namespace, now: datetime) -> "RecallEntry":
    from weighbridge.attest.predicates.recall import RecallEntry, RecallKind, Severity
    from weighbridge.core.moment import write_moment

    since = datetime.combine(options.since, datetime.min.time(), UTC) if options.since else now
    return RecallEntry(
        kind=RecallKind(options.kind),
        target=_target(options),
        reason=options.reason,
        since=write_moment(since),
        severity=Severity.WARN if options.warn else Severity.REFUSE,
    )


def _signers(options: argparse.Namespace) -> "list[AnySigner]":
    """`--key` names whom to believe here, as everywhere but in `sign`; who signs is `--signing-key`."""
    from weighbridge.cli.keys import open_signers

    return open_signers(argparse.Namespace(**{**vars(options), "key": options.signing_key}))


def _target(options: argparse.Namespace) -> "Named | str":
    """A path is measured, a public key becomes its fingerprint, everything else is taken as it stands."""
    from weighbridge.attest.predicates.recall import RecallKind
    from weighbridge.recall.lists import target_of

    text, kind = options.target, RecallKind(options.kind)
    path = Path(text)
    if kind is RecallKind.SIGNER and path.is_file():
        from weighbridge.sign import keys

        return keys.fingerprint(keys.load_public(path.read_bytes()[: 1024**2]))
    if kind in (RecallKind.MODEL, RecallKind.DATASET) and path.exists():
        from weighbridge.pipeline.material import measured

        return measured(path).what
    return target_of(text, kind)


def _show(options: argparse.Namespace) -> int:
    from weighbridge.core.errors import ExitCode, TrustError
    from weighbridge.core.moment import seconds_since, told_age
    from weighbridge.evidence import mark
    from weighbridge.evidence.find import read_named
    from weighbridge.evidence.recalls import Unreadable, read_lists
    from weighbridge.recall.lists import WHO_MAY

    keyring, now = _keyring(options), datetime.now(UTC)
    files = (
        read_named([options.list])
        if options.list
        else mark.kept_lists(mark.state_dir(os.environ, Path.home()))
    )
    found, problems = read_lists(files, keyring.anchors, keyring.authorities, now)
    if not found:
        why = "; ".join(problems) or "no list was seen on this machine"
        next_step = WHO_MAY if problems else "weighbridge recall update FILE"
        raise TrustError("recalls-untrusted", f"there is no list that counts: {why}", next_step)
    unread = [problem for problem in problems if isinstance(problem, Unreadable)]
    lines = []
    for one in found:
        age = told_age(seconds_since(one.issued, now))
        lines += [f"LIST  version {one.recall.version}, {age}, signed by {one.by}", *_entries(one.recall)]
    lines += [f"LEFT OUT  {problem}" for problem in problems]
    body = {"lists": [{**_said(one.recall), "by": one.by} for one in found], "problems": list(problems)}
    _answer(options, body, lines)
    return int(ExitCode.UNDECIDED if unread else ExitCode.DONE)


def _update(options: argparse.Namespace) -> int:
    from weighbridge.evidence import mark
    from weighbridge.evidence.find import read_named
    from weighbridge.recall import lists

    ((name, data),) = read_named([options.list])
    now, state = datetime.now(UTC), mark.state_dir(os.environ, Path.home())
    found = lists.update(name, data, _keyring(options), state, now)
    lines = []
    for one in found:
        lines += [f"UPDATED  version {one.recall.version}, signed by {one.by}", *_entries(one.recall)]
    _answer(options, {"lists": [{**_said(one.recall), "by": one.by} for one in found]}, lines)
    return 0


def _said(recall: "Recall") -> dict[str, Any]:
    from weighbridge.attest.predicates import recall as predicate

    return predicate.write(recall)


def _entries(recall: "Recall") -> list[str]:
    return [f"  {_line(entry)}" for entry in recall.entries]


def _answer(options: argparse.Namespace, body: dict[str, Any], lines: list[str]) -> None:
    """One JSON document, or lines for people; with `--quiet` those that begin at the margin."""
    from weighbridge.cli.output import write
    from weighbridge.core.text import visible
    from weighbridge.core.wire import write_json

    if options.format == "json":
        document = {"schema": SCHEMA, "command": "recall", "action": options.verb, **body}
        write(write_json(document, indent=2).decode(), options.output)
        return
    shown = [line for line in lines if not (options.quiet and line.startswith(" "))]
    write("\n".join(visible(line, 2000) for line in shown), options.output)


def _reached(found: dict[str, Any] | None) -> list[str]:
    from weighbridge.core.text import counted, visible

    if found is None:
        return []
    rows = [
        f"    {'descends' if row['sure'] else 'may descend'}  {visible(row['name'], 100)}"
        for row in found["shown"][:20]
    ]
    more = found["total"] - len(rows)
    rows += [f"    and {more} more, see --format json"] if more > 0 else []
    told = f"{counted(found['sure'], 'descendant')} for sure, {found['total'] - found['sure']} perhaps"
    return [f"  reaches  {told}", *rows]


def _line(entry: "RecallEntry") -> str:
    from weighbridge.core.text import visible

    subject = entry.subject
    what = entry.target if isinstance(entry.target, str) else subject.name or subject.digests[0]
    warning = "  (a warning)" if entry.severity.value == "warn" else ""
    return f"{entry.kind.value:<8} {visible(str(what), 60)}  since {entry.since[:10]}: {visible(entry.reason, 200)}{warning}"
