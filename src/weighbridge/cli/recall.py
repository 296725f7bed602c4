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


def configure(parser: argparse.ArgumentParser) -> None:
    """add, lift, issue, show, update."""
    verbs = shared.verbs(parser, ("add", "lift", "issue", "show", "update"))
    _adding(verbs.add_parser("add", help="write the next version of a list, with one thing more"))
    lifting = verbs.add_parser("lift", help="write the next version, without one thing")
    _target_options(lifting)
    _writing(lifting)
    shared.examples(lifting, "weighbridge recall lift ./xray-data --kind dataset --signing-key recall.key")
    issuing = verbs.add_parser("issue", help="write the next version with the same in it, to keep it fresh")
    _writing(issuing)
    shared.examples(issuing, "weighbridge recall issue --next-in 7 --signing-key recall.key")
    showing = verbs.add_parser("show", help="say what a list calls back, who signed it and how old it is")
    seen = "a list; what this machine remembers when left out"
    showing.add_argument("list", metavar="FILE", nargs="?", help=seen)
    shared.examples(
        showing, "weighbridge recall show", "weighbridge recall show recalls.jsonl --recall-key recall.pub"
    )
    updating = verbs.add_parser(
        "update", help="remember a list on this machine; an older one than was seen is refused"
    )
    updating.add_argument("list", metavar="FILE", help="the list")
    shared.examples(updating, "weighbridge recall update recalls.jsonl --recall-key recall.pub")
    for verb in verbs.choices.values():
        shared.output(verb, shared.BOTH)
        shared.trust(verb)
        shared.group(verb, "Evidence", [shared.RECALL_KEY])
        shared.policy(verb)


def _target_options(verb: argparse.ArgumentParser) -> None:
    what = "a model's or data set's folder, file or digest; PUBLIC.pem; name@version"
    verb.add_argument("target", metavar="TARGET", help=what)
    kinds = ("model", "dataset", "signer", "tool")
    verb.add_argument("--kind", choices=kinds, default="model", help="what TARGET is; model when left out")


def _adding(verb: argparse.ArgumentParser) -> None:
    _target_options(verb)
    shared.add(verb, (
        shared.value("--reason", "TEXT", "why, in one line, for whoever is refused", required=True),
        shared.switch("--warn", "warn only: the answer becomes UNKNOWN, not FAIL"),
        shared.value("--since", "DAY", "from when on it is bad; what a trusted time proves to be older stands",
                     type=shared.day),
        shared.value("--lineage", "DB", "say what comes of it by this lineage; the policy's when left out"),
    ))  # fmt: skip
    _writing(verb)
    shared.examples(
        verb,
        'weighbridge recall add ./xray-data --kind dataset --reason "labels were poisoned" --signing-key recall.key',
        'weighbridge recall add stolen.pub --kind signer --reason "laptop stolen" --since 2026-11-01 --signing-key recall.key',
    )


def _writing(verb: argparse.ArgumentParser) -> None:
    shared.group(verb, "List", (
        shared.value("--list", "FILE", "the list (recalls.jsonl)", default="recalls.jsonl"),
        shared.value("--next-in", "DAYS", "promise the next list within so many days", type=shared.positive),
        shared.value("--log-size", "N", "entries of the log by now, a clock that cannot be set back",
                     type=shared.positive),
    ))  # fmt: skip
    shared.signer(verb, flag="--signing-key")


def run(options: argparse.Namespace) -> int:
    """One of the five."""

    return {"show": _show, "update": _update}.get(options.verb, _write)(options)


def _keyring(options: argparse.Namespace) -> "Keyring":
    """Whom this machine believes, and who may call back by `--recall-key`; here only lists are judged."""
    from weighbridge.cli.keys import recallers
    from weighbridge.cli.request import chosen_keyring, chosen_policy
    from weighbridge.core.value import replace

    keyring = chosen_keyring(options, chosen_policy(options.policy, ()), None)
    return replace(keyring, anchors=(*recallers(options), *keyring.anchors))


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
    return _answer(options, {**_said(recall), **more}, [*lines, *_reached(more.get("descendants"))])


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
    return _answer(options, body, lines, int(ExitCode.UNDECIDED if unread else ExitCode.DONE))


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
    return _answer(options, {"lists": [{**_said(one.recall), "by": one.by} for one in found]}, lines)


def _said(recall: "Recall") -> dict[str, Any]:
    from weighbridge.attest.predicates import recall as predicate

    return predicate.write(recall)


def _entries(recall: "Recall") -> list[str]:
    return [f"  {_line(entry)}" for entry in recall.entries]


def _answer(options: argparse.Namespace, body: dict[str, Any], lines: list[str], code: int = 0) -> int:
    """One JSON document, or lines for people, of which the first is the verdict."""
    from weighbridge.cli.output import schema, tell
    from weighbridge.core.text import visible

    document = {"schema": schema("recall"), "command": "recall", "action": options.verb, **body}
    return tell(options, document, [visible(line, 2000) for line in lines], code=code)


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
