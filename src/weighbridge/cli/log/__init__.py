"""`weighbridge log`: keep a transparency log, prove and verify what stands in it, watch it.

folder   the operator's folder: `log.toml`, keys, policy
stated   from models and files to statements and entries
write    init, append, publish
read     show, prove, verify
watch    witness, audit, mirror
"""

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

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
    verbs = parser.add_subparsers(
        dest="verb", metavar="|".join(_MODULES), required=True, parser_class=shared.Parser
    )
    _operators(verbs)
    _readers(verbs)
    _watchers(verbs)


def run(options: argparse.Namespace) -> int:
    """One of them."""
    from weighbridge.cli.output import refuse_output

    refuse_output(options.output)
    module = import_module(f"weighbridge.cli.log.{_MODULES[options.verb]}")
    code: int = getattr(module, options.verb)(options)
    return code


if TYPE_CHECKING:
    _Verbs: TypeAlias = "argparse._SubParsersAction[shared.Parser]"


def _verb(verbs: "_Verbs", name: str, text: str) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=text, description=text)
    shared.output(verb, ("human", "json"))
    return verb


def _operators(verbs: "_Verbs") -> None:
    init = _verb(verbs, "init", "begin a log: keys, database, policy")
    init.add_argument(
        "--origin", metavar="NAME", required=True, help="the log's name, such as example.com/models"
    )
    init.add_argument(
        "--database", metavar="WHERE", help="a file or postgresql://…; log.db in the folder when left out"
    )
    init.add_argument(
        "--publish-to",
        metavar="WHERE",
        help="a folder or s3://bucket/folder; public in the folder when left out",
    )
    init.add_argument("--post-quantum", action="store_true", help="sign heads with ML-DSA-44 too")
    append = _verb(verbs, "append", "give statements their place in the log, durably")
    append.add_argument(
        "what", metavar="MODEL|FILE", nargs="+", help="models, model.sig, files of statements (.jsonl)"
    )
    append.add_argument(
        "--key", metavar="PUBLIC.pem", action="append", help="take only what one of these keys signed"
    )
    append.add_argument("--kind", choices=("admit", "attest", "revoke", "policy", "key", "waive", "delegate"),
                        help="what is stated; by the statement's type when left out")  # fmt: skip
    append.add_argument(
        "--bodies",
        metavar="DIR",
        help="the store of the statements; bodies in the log's folder when left out",
    )
    append.add_argument("--no-bodies", action="store_true", help="log the digests alone")
    append.add_argument(
        "--one-by-one", action="store_true", help="make each statement durable before the next is looked at"
    )
    publish = _verb(
        verbs, "publish", "sign the head, have it cosigned by the witnesses of the policy, show it"
    )
    publish.add_argument(
        "--wait", metavar="SECONDS", type=shared.seconds, help="ask again for so long until the quorum is met"
    )
    publish.add_argument(
        "--repair",
        action="store_true",
        help="look at every published file, and write lost and torn ones anew",
    )
    for verb in (init, append, publish):
        _log(verb)
    _policy(publish)


def _readers(verbs: "_Verbs") -> None:
    show = _verb(verbs, "show", "show the log's head, or an entry, proved")
    show.add_argument(
        "what", metavar="N|STATEMENT", nargs="?", help="an entry's number or a statement's digest (sha256:…)"
    )
    prove = _verb(verbs, "prove", "leave MODEL.tlog-proof beside a model")
    prove.add_argument(
        "what", metavar="MODEL|STATEMENT", help="a model, a file of statements, or a digest (sha256:…)"
    )
    prove.add_argument(
        "--out", metavar="FILE", help="where to leave the proof; beside the model when left out"
    )
    verify = _verb(verbs, "verify", "verify a proof, offline")
    verify.add_argument(
        "what", metavar="MODEL|FILE", help="a model, a file of statements, a digest, or a .tlog-proof alone"
    )
    verify.add_argument("--proof", metavar="FILE", help="the proof, where it does not lie beside")
    verify.add_argument(
        "--max-age", metavar="DAYS", type=shared.positive, help="how old the log's head may be"
    )
    for verb in (show, prove):
        _log(verb)
        verb.add_argument(
            "--from", metavar="WHERE", dest="place", help="read a folder, https://… or s3://… instead"
        )
    for verb in (show, prove, verify):
        _policy(verb)
        _memory(verb)


def _watchers(verbs: "_Verbs") -> None:
    witness = _verb(verbs, "witness", "cosign heads that only grow, over HTTP")
    witness.add_argument("folder", metavar="DIR", help="where its key lies and where it remembers")
    witness.add_argument("--new", metavar="NAME", help="make its key, under this name, and end")
    witness.add_argument("--post-quantum", action="store_true", help="with --new: an ML-DSA-44 key")
    witness.add_argument(
        "--watch", metavar="FILE", action="append", help="log policies whose logs it watches"
    )
    witness.add_argument(
        "--listen", metavar="HOST:PORT", default="127.0.0.1:8470", help="127.0.0.1:8470 when left out"
    )
    audit = _verb(verbs, "audit", "replay a whole log and tell what is not as it must be")
    audit.add_argument("place", metavar="WHERE", help="a folder, https://… or s3://…")
    audit.add_argument("--bodies", metavar="DIR", help="compare the statements of this store too")
    audit.add_argument(
        "--against", metavar="WHERE", action="append", help="compare with another copy, entry by entry"
    )
    mirror = _verb(verbs, "mirror", "copy a log, and nothing of it that is not proved")
    mirror.add_argument("place", metavar="FROM", help="a folder, https://… or s3://…")
    mirror.add_argument("target", metavar="TO", help="a folder, a stick, or s3://bucket/folder")
    for verb in (audit, mirror):
        _policy(verb)
    _memory(audit)


def _log(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--log", metavar="DIR", default="log", help="the log's folder; ./log when left out")


def _policy(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--log-policy", metavar="FILE", help="which logs and witnesses count; the log's own when left out"
    )


def _memory(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--seen",
        metavar="DIR",
        help="where the newest heads that were seen are remembered; yours when left out",
    )
