"""`weighbridge recall`: call back what turned out to be bad, show a list, take a newer one over."""

import argparse
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from weighbridge.attest.predicates.recall import Recall, RecallEntry
    from weighbridge.sign.signer import AnySigner
    from weighbridge.trust.keyring import Keyring

EXAMPLES = (
    'weighbridge recall add ./xray-data --kind dataset --reason "labels were poisoned" --signing-key recall.key --key recall.pub',
    "weighbridge recall update recalls.jsonl",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """add, show, update."""
    commands = parser.add_subparsers(dest="action", metavar="add|show|update", required=True)
    adding = commands.add_parser("add", help="write the next version of a list, with one thing more")
    adding.add_argument(
        "target",
        metavar="TARGET",
        help="a model's or data set's folder, file or digest; PUBLIC.pem; name@version",
    )
    group = adding.add_argument_group("Recall")
    group.add_argument(
        "--reason", metavar="TEXT", required=True, help="why, in one line, for whoever is refused"
    )
    group.add_argument(
        "--kind",
        choices=("model", "dataset", "signer", "tool"),
        default="model",
        help="what TARGET is; model when left out",
    )
    group.add_argument("--warn", action="store_true", help="warn only: the answer becomes UNKNOWN, not FAIL")
    group.add_argument(
        "--since",
        metavar="DAY",
        type=shared.day,
        help="from when on it is bad; what a trusted time proves to be older stands",
    )
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
    adding.set_defaults(certificate=None, trust_config=None, identity_token=None)
    showing = commands.add_parser("show", help="say what a list calls back, who signed it and how old it is")
    showing.add_argument(
        "list", metavar="FILE", nargs="?", help="a list; what this machine remembers when left out"
    )
    updating = commands.add_parser(
        "update", help="remember a list on this machine; an older one than was seen is refused"
    )
    updating.add_argument("list", metavar="FILE")
    for command in (adding, showing, updating):
        shared.output(command, ("human", "json"))
        shared.trust(command)
        shared.policy(command)


def run(options: argparse.Namespace) -> int:
    """One of the three."""
    from weighbridge.cli.output import refuse_output

    refuse_output(options.output)
    return {"add": _add, "show": _show, "update": _update}[options.action](options)


def _keyring(options: argparse.Namespace) -> "Keyring":
    """Whom this machine believes; a key of the command line may call back, since it was named for that."""
    from weighbridge.cli.request import chosen_keyring, chosen_policy
    from weighbridge.core.value import replace

    keyring = chosen_keyring(options, chosen_policy(options.policy, ()), None)
    if not (options.key or options.root or options.trusted_root):
        return keyring
    anchors = tuple(replace(one, roles=tuple({*one.roles, "recall"})) for one in keyring.anchors)
    return replace(keyring, anchors=anchors)


def _add(options: argparse.Namespace) -> int:
    from weighbridge.attest.predicates.recall import RecallEntry, RecallKind, Severity
    from weighbridge.recall import lists

    now = datetime.now(UTC)
    kind = RecallKind(options.kind)
    since = datetime.combine(options.since, datetime.min.time(), UTC) if options.since else now
    entry = RecallEntry(
        kind=kind,
        target=_target(options.target, kind),
        reason=options.reason,
        since=since.isoformat(timespec="seconds"),
        severity=Severity.WARN if options.warn else Severity.REFUSE,
    )
    recall = lists.add(
        Path(options.list),
        [entry],
        _signers(options),
        _keyring(options),
        now,
        next_expected=(now + timedelta(days=options.next_in)).isoformat(timespec="seconds")
        if options.next_in
        else "",
        log_size=options.log_size,
    )
    return _print(
        options, recall, "RECALLED", f"{options.list}  version {recall.version}", {"list": options.list}
    )


def _signers(options: argparse.Namespace) -> "list[AnySigner]":
    """`--key` names whom to believe here, as everywhere but in `sign`; who signs is `--signing-key`."""
    from weighbridge.cli.keys import open_signers

    return open_signers(argparse.Namespace(**{**vars(options), "key": options.signing_key}))


def _target(text: str, kind: Any) -> Any:
    """A path is measured, a public key becomes its fingerprint, everything else is taken as it stands."""
    from weighbridge.attest.predicates.recall import RecallKind
    from weighbridge.recall.lists import target_of

    path = Path(text)
    if kind is RecallKind.SIGNER and path.is_file():
        from weighbridge.sign import keys

        return keys.fingerprint(keys.load_public(path.read_bytes()[: 1024**2]))
    if kind in (RecallKind.MODEL, RecallKind.DATASET) and path.exists():
        from weighbridge.attest.subject import subject_of
        from weighbridge.check import bundles_of
        from weighbridge.measure import Plan, measure
        from weighbridge.store import open_artifact

        artifact = open_artifact(text, exclude=bundles_of(path)[1])
        manifest = measure(artifact, Plan(tensors=True)).manifest
        return subject_of(artifact.name, manifest, single=artifact.single).what
    return target_of(text, kind)


def _show(options: argparse.Namespace) -> int:
    from weighbridge.core.errors import TrustError
    from weighbridge.evidence import mark
    from weighbridge.evidence.find import read_named
    from weighbridge.evidence.recalls import read_lists, told_age

    keyring, now = _keyring(options), datetime.now(UTC)
    files = (
        read_named([options.list])
        if options.list
        else mark.kept_lists(mark.state_dir(os.environ, Path.home()))
    )
    found, problems = read_lists(files, keyring.anchors, keyring.authorities, now)
    if not found:
        why = "; ".join(problems) or "no list was seen on this machine"
        raise TrustError("recalls-untrusted", f"there is no list that counts: {why}")
    for one in found:
        age = told_age(max(0, (now - one.issued).days))
        _print(
            options,
            one.recall,
            "LIST",
            f"version {one.recall.version}, {age}, signed by {one.by}",
            {"by": one.by},
        )
    return 0


def _update(options: argparse.Namespace) -> int:
    from weighbridge.evidence import mark
    from weighbridge.evidence.find import read_named
    from weighbridge.recall import lists

    ((name, data),) = read_named([options.list])
    now, state = datetime.now(UTC), mark.state_dir(os.environ, Path.home())
    for one in lists.update(name, data, _keyring(options), state, now):
        _print(
            options,
            one.recall,
            "UPDATED",
            f"version {one.recall.version}, signed by {one.by}",
            {"by": one.by},
        )
    return 0


def _print(options: argparse.Namespace, recall: "Recall", word: str, title: str, more: dict[str, Any]) -> int:
    from weighbridge.attest.predicates import recall as predicate
    from weighbridge.cli.output import write
    from weighbridge.core.text import visible
    from weighbridge.core.wire import write_json

    if options.format == "json":
        document = {"schema": "weighbridge.recall/v1", "command": "recall", **predicate.write(recall), **more}
        write(write_json(document, indent=2).decode(), options.output)
        return 0
    lines = [f"{word}  {visible(title)}"]
    if not options.quiet:
        lines += [f"  {_line(entry)}" for entry in recall.entries]
    write("\n".join(lines), options.output)
    return 0


def _line(entry: "RecallEntry") -> str:
    from weighbridge.core.text import visible

    subject = entry.subject
    what = entry.target if isinstance(entry.target, str) else subject.name or subject.digests[0]
    warning = "  (a warning)" if entry.severity.value == "warn" else ""
    return f"{entry.kind.value:<8} {visible(str(what), 60)}  since {entry.since[:10]}: {visible(entry.reason, 200)}{warning}"
