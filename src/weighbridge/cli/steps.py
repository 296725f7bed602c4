"""What `sign`, `run`, `plan` and `intake` share: who signs, whom to believe, and how a refusal is told."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import StepRefused

if TYPE_CHECKING:
    from weighbridge.sign.signer import AnySigner
    from weighbridge.trust.keyring import Keyring


def signer(parser: argparse.ArgumentParser, *, required: bool = True) -> "argparse._ArgumentGroup":
    """`--key --certificate --password-file --trust-config --identity-token`, as `sign` has them."""
    group = parser.add_argument_group("Signer")
    group.add_argument(
        "--key", metavar="KEY", action="append", required=required,
        help="private key: a PEM file, pkcs11:…, or sigstore: for keyless; several sign side by side",
    )  # fmt: skip
    group.add_argument("--certificate", metavar="CHAIN.pem", help="sign as this certificate, leaf first")
    group.add_argument(
        "--password-file",
        metavar="FILE",
        help="the key's password or PIN; else WEIGHBRIDGE_PASSWORD or asked",
    )
    group.add_argument(
        "--trust-config", metavar="JSON", help="Sigstore client trust configuration, for sigstore:"
    )
    group.add_argument("--identity-token", metavar="TOKEN", help="OIDC token, for sigstore:")
    return group


def believed(parser: argparse.ArgumentParser) -> None:
    """`--trust --policy --cedar`."""
    group = parser.add_argument_group("Trust")
    group.add_argument(
        "--trust",
        metavar="DIR",
        help="the keyring's folder, which says who has which role; yours when left out",
    )
    group.add_argument(
        "--policy", metavar="FILE|PRESET", help="a weighbridge.toml; the nearest file when left out"
    )
    group.add_argument(
        "--cedar", metavar="FILE", help="a Cedar policy that says who may do what (extra: cedar)"
    )


def output(parser: argparse.ArgumentParser) -> None:
    """`--format --output --quiet`."""
    group = parser.add_argument_group("Output")
    group.add_argument(
        "-f", "--format", metavar="FORMAT", choices=("human", "json"), default="human", help="human or json"
    )
    group.add_argument(
        "-o", "--output", metavar="FILE", help="write the answer to FILE instead of standard output"
    )
    group.add_argument("-q", "--quiet", action="store_true", help="print nothing but refusals")


def signers_of(options: argparse.Namespace) -> "list[AnySigner]":
    """The signers of `--key`; none where none is named."""
    from weighbridge.cli.keys import open_signers

    return open_signers(options) if options.key else []


def keyring_of(options: argparse.Namespace) -> "Keyring":
    """The keyring's folder: keys of the command line have no roles, and count for nothing here."""
    from weighbridge.cli.request import chosen_keyring, chosen_policy

    names = {
        "key": None,
        "root": None,
        "trusted_root": None,
        "tsa": None,
        "by": None,
        "crl": None,
        "issuer": None,
    }
    return chosen_keyring(
        argparse.Namespace(trust=options.trust, **names), chosen_policy(options.policy, ()), ""
    )


def told(options: argparse.Namespace, work: Callable[[], int]) -> int:
    """Do the work; a refusal is told with all its reasons, and is exit 1."""
    from weighbridge.cli.output import refuse_output

    refuse_output(options.output)
    try:
        return work()
    except StepRefused as refusal:
        _refused(options, refusal)
        return int(refusal.exit_code)


def _refused(options: argparse.Namespace, refusal: StepRefused) -> None:
    from weighbridge.cli.output import write
    from weighbridge.core.text import visible

    if options.format == "json":
        error = {
            "code": refusal.code, "message": refusal.message, "hints": list(refusal.hints),
            "exit_code": int(refusal.exit_code),
        }  # fmt: skip
        reasons = [{"code": code, "why": why} for code, why in refusal.reasons]
        answer(options, "refused", {"reasons": reasons, "error": error}, [])
        return
    lines = [f"REFUSED  {visible(refusal.message)}   [{refusal.code}]"]
    lines += [f"  {visible(why)}   [{code}]" for code, why in refusal.reasons]
    lines += [f"  next     {visible(hint)}" for hint in refusal.hints[:2]]
    if options.output or options.command != "run":
        write("\n".join(lines), options.output)
    else:
        sys.stderr.write("\n".join(lines) + "\n")


def answer(options: argparse.Namespace, verdict: str, body: dict[str, Any], lines: list[str]) -> None:
    """The answer as JSON, or as lines for people."""
    from weighbridge.cli.output import write
    from weighbridge.core.wire import write_json

    if options.format == "json":
        document = {"schema": f"weighbridge.{options.command}/v1", "command": options.command}
        if action := getattr(options, "verb", None):
            document["action"] = action
        write(write_json({**document, "verdict": verdict, **body}, indent=2).decode(), options.output)
    elif lines and not options.quiet:
        if options.command == "run" and not options.output:
            sys.stderr.write("\n".join(lines) + "\n")  # standard output belongs to the command
        else:
            write("\n".join(lines), options.output)
