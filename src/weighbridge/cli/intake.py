"""`weighbridge intake`: keep what others contribute in quarantine until enough people agree."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.cli import options as shared
from weighbridge.cli import steps

if TYPE_CHECKING:
    from weighbridge.pipeline.quarantine import Contribution, Quarantine
    from weighbridge.pipeline.release import Rules, State
    from weighbridge.trust.keyring import Keyring

EXAMPLES = (
    "weighbridge intake add ./adapter --kind adapter --contributor acme --into /srv/quarantine",
    "weighbridge intake approve 3f9a2c11 --in /srv/quarantine --role safety --key cleo.key",
    "weighbridge intake release 3f9a2c11 --in /srv/quarantine --to /srv/models --approvals safety=1,lead=1",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """add, list, show, approve, reject, release."""
    verbs = shared.verbs(parser, ("add", "list", "show", "approve", "reject", "release"))
    _adding(verbs.add_parser("add", help="copy a contribution into quarantine and look at it"))
    listing = verbs.add_parser("list", help="what is in quarantine")
    _policy(listing)
    shared.examples(listing, "weighbridge intake list --in /srv/quarantine")
    showing = verbs.add_parser("show", help="say what is known of a contribution")
    _one(showing)
    shared.examples(showing, "weighbridge intake show 3f9a2c11 --in /srv/quarantine")
    _reviewing(verbs.add_parser("approve", help="agree that a contribution may be let out"), "approve")
    _reviewing(verbs.add_parser("reject", help="say no to a contribution"), "reject")
    _releasing(verbs.add_parser("release", help="copy it out, when everything that is asked for holds"))
    for verb in verbs.choices.values():
        shared.believed(verb)
        shared.output(verb, shared.BOTH)


QUARANTINE = "the quarantine's folder"


def _adding(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("path", metavar="PATH", help="a folder or file; nothing of it is run")
    verb.add_argument("--kind", choices=("adapter", "data", "model"), required=True, help="what it is")
    shared.add(verb, (
        shared.value("--contributor", "NAME", "who made it, as the keyring calls them", required=True),
        shared.many("--contributor-key", "PUBLIC.pem", "a key of theirs that the keyring does not know"),
        shared.value("--into", "DIR", QUARANTINE, dest="quarantine", required=True),
    ))  # fmt: skip
    shared.examples(
        verb, "weighbridge intake add ./adapter --kind adapter --contributor acme --into /srv/quarantine"
    )


def _policy(verb: argparse.ArgumentParser) -> None:
    shared.add(verb, [shared.value("--in", "DIR", QUARANTINE, dest="quarantine", required=True)])
    shared.group(verb, "Policy", (
        shared.value("--approvals", "ROLE=N,…", "ask for these approvals too, besides those of the policy"),
        shared.value("--waivers", "ROLE,…", "roles that may waive findings, where the policy names none"),
    ))  # fmt: skip


def _one(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("contribution", metavar="ID", help="the beginning of its digest")
    _policy(verb)


def _reviewing(verb: argparse.ArgumentParser, word: str) -> None:
    _one(verb)
    if word == "approve":
        waiving = "accept its findings of severity error, for this reason"
        shared.add(verb, [shared.value("--waive", "REASON", waiving)])
    shared.add(verb, (
        shared.value("--role", "ROLE", "in which role", required=True),
        shared.value("--comment", "TEXT", "what to say about it", default=""),
    ))  # fmt: skip
    shared.signer(verb)
    shared.examples(
        verb, f"weighbridge intake {word} 3f9a2c11 --in /srv/quarantine --role safety --key cleo.key"
    )


def _releasing(verb: argparse.ArgumentParser) -> None:
    _one(verb)
    shared.add(verb, [shared.value("--to", "DIR", "the folder that it is put into", required=True)])
    shared.signer(verb, required=False, text="who lets it out, where a Cedar policy asks: a private key")
    shared.examples(
        verb,
        "weighbridge intake release 3f9a2c11 --in /srv/quarantine --to /srv/models --approvals safety=1,lead=1",
    )


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
        now=datetime.now(UTC),
    )
    lines = [f"QUARANTINED  {record.id[:16]}  {visible(record.name)}", *_record_lines(record)]
    lines += _next(record, options)
    return steps.answer(options, "quarantined", _record_body(record), lines)


def _next(record: "Contribution", options: argparse.Namespace) -> list[str]:
    """What a reviewer can do: what has findings of severity error is let out only where somebody says why."""
    from weighbridge.core.text import visible

    where = f"{record.id[:16]} --in {visible(options.quarantine)} --role ROLE --key KEY"
    approve, reject = f"weighbridge intake approve {where}", f"weighbridge intake reject {where}"
    if not record.errors:
        return [f"next     {approve}"]
    return [f"next     {reject}", f'or       {approve} --waive "why these findings are accepted"']


def _list(options: argparse.Namespace) -> int:
    from weighbridge.core.text import counted, visible

    quarantine, rules, keyring = _quarantine(options), _rules(options), steps.keyring_of(options)
    states = [_state(quarantine, record, rules, keyring) for record in quarantine.all()]
    rows = [{**_record_body(one.record), "state": one.word} for one in states]
    lines = [
        f"{one.word:<12} {one.record.id[:16]}  {one.record.sort.value:<8} {visible(one.record.name, 40)}  "
        f"from {visible(one.record.contributor, 40)}"
        for one in states
    ]
    last = f"LISTED: {counted(len(rows), 'contribution')}" if rows else "nothing is in quarantine"
    return steps.answer(
        options, "listed", {"contributions": rows}, [last] if options.quiet or not lines else lines
    )


def _state(quarantine: "Quarantine", record: "Contribution", rules: "Rules", keyring: "Keyring") -> "State":
    from weighbridge.pipeline.release import state_of

    return state_of(quarantine, record, rules, keyring, datetime.now(UTC))


def _show(options: argparse.Namespace) -> int:
    quarantine = _quarantine(options)
    record = quarantine.find(options.contribution)
    quarantine.measure(record)
    state = _state(quarantine, record, _rules(options), steps.keyring_of(options))
    return steps.answer(options, state.word, _body(state), _lines(state, state.word.upper()))


def _review(options: argparse.Namespace) -> int:
    from weighbridge.attest.predicates.review import Decision
    from weighbridge.cli.keys import open_signers
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
        waive or options.comment, open_signers(options), steps.keyring_of(options), _rules(options),
        now=datetime.now(UTC), waive=waive is not None,
    )  # fmt: skip
    word = "APPROVED" if options.verb == "approve" else "REJECTED"
    return steps.answer(options, word.lower(), _body(state), _lines(state, word))


def _release(options: argparse.Namespace) -> int:
    from weighbridge.cli.keys import open_signers
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
        open_signers(options),
        now=datetime.now(UTC),
    )
    target = Path(options.to) / record.name
    lines = [*_lines(state, "RELEASED"), f"wrote    {visible(str(target))}"]
    return steps.answer(options, "released", {**_body(state), "written": [str(target)]}, lines)


def _record_body(record: "Contribution") -> dict[str, Any]:
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


def _record_lines(record: "Contribution") -> list[str]:
    from weighbridge.core.text import counted, human_bytes, visible

    signed = ", ".join(dict.fromkeys(one.by for one in record.signatures)) or "nobody known"
    lines = [
        f"what     {record.sort.value} from {visible(record.contributor)}, {counted(record.files, 'file')}, {human_bytes(record.size)}",
        f"signed   by {visible(signed)}",
        f"policy   {record.verdict} when it came, by signature and scan",
        f"scan     {counted(len(record.findings), 'finding')}, {len(record.errors)} of severity error",
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
    lines = [f"{f'{word} ':<9}{record.id[:16]}  {visible(record.name)}", *_record_lines(record)]
    lines += [
        f"yes      {visible(vote.by)} as {visible(vote.review.role)}, {vote.review.time}"
        for vote in votes.counted
    ]
    lines += [f"no       {visible(vote.by)}: {visible(vote.review.comment)}" for vote in votes.rejected]
    lines += [f"waived   by {visible(who)}: {visible(why)}" for _, who, why in state.waived]
    lines += [f"unread   {visible(who)}: {visible(why)}   [review-unread]" for who, why in votes.unread]
    lines += [f"wanted   {count} more of the role {visible(role)}" for role, count in votes.lacking]
    return [*lines, *(f"left out {visible(who)}: {visible(why)}" for who, why in votes.left_out)]
