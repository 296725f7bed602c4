"""`weighbridge log`: keep a transparency log, prove and verify what stands in it, watch it.

folder   the operator's folder: `log.toml`, keys, policy
stated   from models and files to statements and entries
write    init, append, publish
read     show, prove, verify
watch    witness, audit, mirror
"""

import argparse
from importlib import import_module
from typing import Any

from weighbridge.cli import options as shared

EXAMPLES = (
    "weighbridge log init --origin example.com/models",
    "weighbridge log append ./model && weighbridge log publish && weighbridge log prove ./model",
    "weighbridge log verify ./model --log-policy example.policy --max-age 30",
    "weighbridge log audit https://log.example.com --log-policy example.policy",
)

_MODULES = {
    **dict.fromkeys(("init", "append", "publish"), "write"),
    **dict.fromkeys(("show", "prove", "verify"), "read"),
    **dict.fromkeys(("witness", "audit", "mirror"), "watch"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """The nine verbs."""
    verbs = shared.verbs(parser, tuple(_MODULES))
    for name, (text, options, examples) in _verbs().items():
        verb = verbs.add_parser(name, help=text, description=text)
        shared.output(verb, shared.BOTH)
        shared.add(verb, options)
        shared.examples(verb, *examples)


def run(options: argparse.Namespace) -> int:
    """One of them."""

    module = import_module(f"weighbridge.cli.log.{_MODULES[options.verb]}")
    code: int = getattr(module, options.verb)(options)
    return code


_Verb = tuple[str, tuple[shared.Row, ...], tuple[str, ...]]
"""What it does, its options, its examples."""


def _verbs() -> dict[str, _Verb]:
    return {**_operators(), **_readers(), **_watchers()}


def _argument(name: str, metavar: str, text: str, **more: Any) -> shared.Row:
    return (name,), {"metavar": metavar, "help": text, **more}


_LOG = shared.value("--log", "DIR", "the log's folder; ./log when left out", default="log")
_POLICY = shared.value("--log-policy", "FILE", "which logs and witnesses count; the log's own when left out")
_SEEN = shared.value(
    "--seen", "DIR", "where the newest heads that were seen are remembered; yours when left out"
)
_FROM = shared.value("--from", "WHERE", "read a folder, https://… or s3://… instead", dest="place")
_KINDS = ("admit", "attest", "revoke", "policy", "key", "waive", "delegate")


def _operators() -> dict[str, _Verb]:
    init = (
        shared.value("--origin", "NAME", "the log's name, such as example.com/models", required=True),
        shared.value("--database", "WHERE", "a file or postgresql://…; log.db in the folder when left out"),
        shared.value(
            "--publish-to", "WHERE", "a folder or s3://bucket/folder; public in the folder when left out"
        ),
        shared.switch("--post-quantum", "sign heads with ML-DSA-44 too"),
        _LOG,
    )
    kinds = f"what is stated: {', '.join(_KINDS)}; by the statement's type when left out"
    append = (
        _argument("what", "MODEL|FILE", "models, model.sig, files of statements (.jsonl)", nargs="+"),
        shared.many("--key", "PUBLIC.pem", "take only what one of these keys signed"),
        shared.value(
            "--trust", "DIR", f"{shared.KEYRING}: whose key it knows stands as verified in the entry"
        ),
        shared.switch("--known-only", "take only what somebody of the keyring signed"),
        shared.value("--kind", "KIND", kinds, choices=_KINDS),
        shared.value(
            "--bodies", "DIR", "the store of the statements; bodies in the log's folder when left out"
        ),
        shared.switch("--no-bodies", "log the digests alone"),
        shared.switch("--one-by-one", "make each statement durable before the next is looked at"),
        _LOG,
    )
    publish = (
        shared.value(
            "--wait", "SECONDS", "ask again for so long until the quorum is met", type=shared.seconds
        ),
        shared.switch("--repair", "look at every published file, and write lost and torn ones anew"),
        _LOG,
        _POLICY,
    )
    return {
        "init": ("begin a log: keys, database, policy", init, (
            "weighbridge log init --origin example.com/models --log ./log",
        )),
        "append": ("give statements their place in the log, durably", append, (
            "weighbridge log append ./model",
            "weighbridge log append recalls.jsonl --key recall.pub",
            "weighbridge log append ./model --known-only",
        )),
        "publish": ("sign the head, have it cosigned by the witnesses of the policy, show it", publish, (
            "weighbridge log publish",
            "weighbridge log publish --wait 60",
        )),
    }  # fmt: skip


def _readers() -> dict[str, _Verb]:
    number = _argument(
        "what", "N|STATEMENT", "an entry's number or a statement's digest (sha256:…)", nargs="?"
    )
    prove = (
        _argument("what", "MODEL|STATEMENT", "a model, a file of statements, or a digest (sha256:…)"),
        shared.value("--out", "FILE", "where to leave the proof; beside the model when left out"),
    )
    verify = (
        _argument("what", "MODEL|FILE", "a model, a file of statements, a digest, or a .tlog-proof alone"),
        shared.value("--proof", "FILE", "the proof, where it does not lie beside"),
        shared.value("--max-age", "DAYS", "how old the log's head may be", type=shared.positive),
    )
    return {
        "show": ("show the log's head, or an entry, proved", (number, _LOG, _FROM, _POLICY, _SEEN), (
            "weighbridge log show",
            "weighbridge log show 7 --from https://log.example.com --log-policy example.policy",
        )),
        "prove": ("leave MODEL.tlog-proof beside a model", (*prove, _LOG, _FROM, _POLICY, _SEEN), (
            "weighbridge log prove ./model",
        )),
        "verify": ("verify a proof, offline", (*verify, _POLICY, _SEEN), (
            "weighbridge log verify ./model --log-policy example.policy --max-age 30",
        )),
    }  # fmt: skip


def _watchers() -> dict[str, _Verb]:
    witness = (
        _argument("folder", "DIR", "where its key lies and where it remembers"),
        shared.value("--new", "NAME", "make its key, under this name, and end"),
        shared.switch("--post-quantum", "with --new: an ML-DSA-44 key"),
        shared.many("--watch", "FILE", "log policies whose logs it watches"),
        shared.value("--listen", "HOST:PORT", "127.0.0.1:8470 when left out", default="127.0.0.1:8470"),
    )
    audit = (
        _argument("place", "WHERE", "a folder, https://… or s3://…"),
        shared.value("--bodies", "DIR", "compare the statements of this store too"),
        shared.many("--against", "WHERE", "compare with another copy, entry by entry"),
    )
    mirror = (
        _argument("place", "FROM", "a folder, https://… or s3://…"),
        _argument("target", "TO", "a folder, a stick, or s3://bucket/folder"),
    )
    return {
        "witness": ("cosign heads that only grow, over HTTP", witness, (
            "weighbridge log witness ./north --new north.example.org",
            "weighbridge log witness ./north --watch example.policy",
        )),
        "audit": ("replay a whole log and tell what is not as it must be", (*audit, _POLICY, _SEEN), (
            "weighbridge log audit https://log.example.com --log-policy example.policy",
        )),
        "mirror": ("copy a log, and nothing of it that is not proved", (*mirror, _POLICY), (
            "weighbridge log mirror https://log.example.com ./copy --log-policy example.policy",
        )),
    }  # fmt: skip
