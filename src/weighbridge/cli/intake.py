"""`weighbridge intake`: keep what others contribute in quarantine until enough people agree."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.cli import steps
from weighbridge.core.errors import ExitCode

if TYPE_CHECKING:
    from weighbridge.pipeline.quarantine import Quarantine, Record
    from weighbridge.pipeline.release import Rules, State
    from weighbridge.trust.keyring import Keyring

EXAMPLES = (
    "weighbridge intake add ./adapter --kind adapter --contributor acme --into /srv/quarantine",
    "weighbridge intake approve 3f9a2c11 --in /srv/quarantine --role safety --key cleo.key",
    "weighbridge intake release 3f9a2c11 --in /srv/quarantine --to /srv/models --approvals safety=1,lead=1",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """add, list, show, approve, reject, release."""
    commands = parser.add_subparsers(
        dest="verb", metavar="add|list|show|approve|reject|release", required=True
    )
    adding = commands.add_parser("add", help="copy a contribution into quarantine and look at it")
    adding.add_argument("path", metavar="PATH", help="a folder or file; nothing of it is run")
    adding.add_argument("--kind", choices=("adapter", "data", "model"), required=True, help="what it is")
    adding.add_argument(
        "--contributor", metavar="NAME", required=True, help="who made it, as the keyring calls them"
    )
    adding.add_argument(
        "--contributor-key",
        metavar="PUBLIC.pem",
        action="append",
        help="a key of theirs that the keyring does not know",
    )
    adding.add_argument(
        "--into", metavar="DIR", dest="quarantine", required=True, help="the quarantine's folder"
    )
    listing = commands.add_parser("list", help="what is in quarantine")
    showing = commands.add_parser("show", help="say what is known of a contribution")
    approving = commands.add_parser("approve", help="agree that a contribution may be let out")
    approving.add_argument(
        "--waive", metavar="REASON", help="accept its findings of severity error, for this reason"
    )
    rejecting = commands.add_parser("reject", help="say no to a contribution")
    releasing = commands.add_parser("release", help="copy it out, when everything that is asked for holds")
    releasing.add_argument("--to", metavar="DIR", required=True, help="the folder that it is put into")
    for command in (showing, approving, rejecting, releasing):
        command.add_argument("contribution", metavar="ID", help="the beginning of its digest")
    for command in (listing, showing, approving, rejecting, releasing):
        command.add_argument(
            "--in", metavar="DIR", dest="quarantine", required=True, help="the quarantine's folder"
        )
        group = command.add_argument_group("Policy")
        group.add_argument(
            "--approvals", metavar="ROLE=N,…", help="ask for these approvals too, besides those of the policy"
        )
        group.add_argument(
            "--waivers", metavar="ROLE,…", help="roles that may waive findings, where the policy names none"
        )
    for command in (approving, rejecting):
        command.add_argument("--role", metavar="ROLE", required=True, help="in which role")
        command.add_argument("--comment", metavar="TEXT", default="", help="what to say about it")
        steps.signer(command)
    steps.signer(releasing, required=False)
    for command in commands.choices.values():
        steps.believed(command)
        steps.output(command)


def run(options: argparse.Namespace) -> int:
    """One of the six."""
    work = {
        "add": _add, "list": _list, "show": _show, "approve": _review, "reject": _review, "release": _release,
    }[options.verb]  # fmt: skip
    return steps.told(options, lambda: work(options))


def _quarantine(options: argparse.Namespace) -> "Quarantine":
    from weighbridge.pipeline.quarantine import Quarantine

    return Quarantine(Path(options.quarantine))


def _rules(options: argparse.Namespace) -> "Rules":
    """What the policy asks; an option can ask for more, and never for less."""
    from weighbridge.cli.request import chosen_policy
    from weighbridge.pipeline.access import read_access
    from weighbridge.pipeline.plan import approvals_of
    from weighbridge.pipeline.release import Rules

    said = chosen_policy(options.policy, (options.quarantine,)).settings.intake
    wanted = dict(said.approvals)
    for role, count in approvals_of(options.approvals) if options.approvals else ():
        wanted[role] = max(count, wanted.get(role, 0))
    named = tuple(role.strip() for role in (options.waivers or "").split(",") if role.strip())
    cedar = said.cedar or options.cedar
    return Rules(
        approvals=tuple(sorted(wanted.items())),
        waivers=said.waivers or (() if said.approvals else named),
        access=read_access(Path(cedar)) if cedar else None,
    )


def _add(options: argparse.Namespace) -> int:
    from weighbridge.cli.keys import about, material
    from weighbridge.core.text import visible
    from weighbridge.pipeline.quarantine import Sort
    from weighbridge.sign import keys

    fingerprints = []
    for path in options.contributor_key or ():
        with about(path):
            fingerprints.append(keys.fingerprint(keys.load_public(material(path))))
    record = _quarantine(options).add(
        Path(options.path),
        Sort(options.kind),
        options.contributor,
        steps.keyring_of(options),
        contributor_keys=fingerprints,
    )
    lines = [f"QUARANTINED  {record.id[:16]}  {visible(record.name)}", *_record_lines(record)]
    lines.append(
        f"next     weighbridge intake approve {record.id[:16]} --in {visible(options.quarantine)} --role ROLE --key KEY"
    )
    steps.answer(options, "quarantined", _record_body(record), lines)
    return int(ExitCode.DONE)


def _list(options: argparse.Namespace) -> int:
    from weighbridge.core.text import visible

    quarantine, rules, keyring = _quarantine(options), _rules(options), steps.keyring_of(options)
    states = [_state(quarantine, record, rules, keyring) for record in quarantine.all()]
    rows = [{**_record_body(one.record), "state": one.word} for one in states]
    lines = [
        f"{one.word:<12} {one.record.id[:16]}  {one.record.sort.value:<8} {visible(one.record.name, 40)}  "
        f"from {visible(one.record.contributor, 40)}"
        for one in states
    ]
    steps.answer(options, "listed", {"contributions": rows}, lines or ["nothing is in quarantine"])
    return int(ExitCode.DONE)


def _state(quarantine: "Quarantine", record: "Record", rules: "Rules", keyring: "Keyring") -> "State":
    from weighbridge.pipeline.release import state_of

    return state_of(quarantine, record, rules, keyring, datetime.now(UTC))


def _show(options: argparse.Namespace) -> int:
    quarantine = _quarantine(options)
    record = quarantine.find(options.contribution)
    quarantine.measure(record)
    state = _state(quarantine, record, _rules(options), steps.keyring_of(options))
    steps.answer(options, state.word, _body(state), _lines(state, state.word.upper()))
    return int(ExitCode.DONE)


def _review(options: argparse.Namespace) -> int:
    from weighbridge.attest.predicates.review import Decision
    from weighbridge.core.errors import UsageError
    from weighbridge.pipeline.release import review

    waive = getattr(options, "waive", None)
    if waive is not None and not waive.strip():
        raise UsageError(
            "waiver-reason", "a waiver needs a reason", '--waive "why these findings are accepted"'
        )
    quarantine = _quarantine(options)
    state = review(
        quarantine, quarantine.find(options.contribution), Decision(options.verb), options.role,
        waive or options.comment, steps.signers_of(options), steps.keyring_of(options), _rules(options),
        waive=waive is not None,
    )  # fmt: skip
    word = "APPROVED" if options.verb == "approve" else "REJECTED"
    steps.answer(options, word.lower(), _body(state), _lines(state, word))
    return int(ExitCode.DONE)


def _release(options: argparse.Namespace) -> int:
    from weighbridge.core.text import visible
    from weighbridge.pipeline.release import release

    quarantine = _quarantine(options)
    record = quarantine.find(options.contribution)
    state = release(
        quarantine,
        record,
        Path(options.to),
        steps.keyring_of(options),
        _rules(options),
        steps.signers_of(options),
    )
    target = Path(options.to) / record.name
    lines = [*_lines(state, "RELEASED"), f"wrote    {visible(str(target))}"]
    steps.answer(options, "released", {**_body(state), "written": [str(target)]}, lines)
    return int(ExitCode.DONE)


def _record_body(record: "Record") -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "kind": record.sort.value,
        "contributor": record.contributor,
        "digests": {
            "files": str(record.what.files),
            "tensors": str(record.what.tensors) if record.what.tensors else None,
        },
        "files": record.files,
        "bytes": record.size,
        "received": record.received,
        "scan": {"verdict": record.verdict, "findings": [dict(one) for one in record.findings]},
        "signatures": [{"by": one.by, "key": one.key} for one in record.signatures],
    }


def _body(state: "State") -> dict[str, Any]:
    votes = state.tally
    return {
        **_record_body(state.record),
        "state": state.word,
        "approvals": [
            {"by": one.by, "role": one.review.role, "time": one.review.time} for one in votes.counted
        ],
        "rejections": [{"by": one.by, "comment": one.review.comment} for one in votes.rejected],
        "waivers": [{"findings": digest, "by": who, "why": why} for digest, who, why in state.waived],
        "lacking": dict(votes.lacking),
        "unread": [{"who": who, "why": why} for who, why in votes.unread],
        "leftOut": [{"by": who, "why": why} for who, why in votes.left_out],
    }


def _record_lines(record: "Record") -> list[str]:
    from weighbridge.core.text import counted, human_bytes, visible

    signed = ", ".join(dict.fromkeys(one.by for one in record.signatures)) or "nobody known"
    lines = [
        f"what     {record.sort.value} from {visible(record.contributor)}, {counted(record.files, 'file')}, {human_bytes(record.size)}",
        f"signed   by {visible(signed)}",
        f"scan     {record.verdict}, {counted(len(record.findings), 'finding')}",
    ]
    lines += [_finding(one) for one in record.findings[:20]]
    return lines


def _finding(row: Mapping[str, Any]) -> str:
    from weighbridge.core.text import visible

    path, message = visible(str(row.get("path")), 80), visible(str(row.get("message")), 200)
    return f"  {row.get('severity')}  {path}: {message}   [{row.get('rule')}]"


def _lines(state: "State", word: str) -> list[str]:
    from weighbridge.core.text import visible

    record, votes = state.record, state.tally
    lines = [f"{word:<9}{record.id[:16]}  {visible(record.name)}", *_record_lines(record)]
    lines += [
        f"yes      {visible(vote.by)} as {visible(vote.review.role)}, {vote.review.time}"
        for vote in votes.counted
    ]
    lines += [f"no       {visible(vote.by)}: {visible(vote.review.comment)}" for vote in votes.rejected]
    lines += [f"waived   by {visible(who)}: {visible(why)}" for _, who, why in state.waived]
    lines += [f"unread   {visible(who)}: {visible(why)}   [review-unread]" for who, why in votes.unread]
    lines += [f"wanted   {count} more of the role {visible(role)}" for role, count in votes.lacking]
    return [*lines, *(f"left out {visible(who)}: {visible(why)}" for who, why in votes.left_out)]
