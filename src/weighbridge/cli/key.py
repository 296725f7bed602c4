"""`weighbridge key`: make, show and rotate signing keys."""

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from weighbridge.trust.keygen import KeyFacts

ALGORITHMS = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "ml-dsa-65")

EXAMPLES = (
    "weighbridge key new release",
    "weighbridge key new release-pq --algorithm ml-dsa-65",
    "weighbridge key show release.pub",
    "weighbridge key rotate release@example.org --new release-2027",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """new, show and rotate."""
    verbs = shared.verbs(parser, ("new", "show", "rotate"))
    new = verbs.add_parser("new", help="make a key pair: NAME.key for you alone, NAME.pub for everybody")
    new.add_argument(
        "name",
        metavar="NAME",
        help="where the pair goes, a path without ending: release makes release.key and release.pub",
    )
    new.set_defaults(run=run_new)
    shared.examples(
        new, "weighbridge key new release", "weighbridge key new release-pq --algorithm ml-dsa-65"
    )
    show = verbs.add_parser("show", help="say what a private or public key is")
    show.add_argument("file", metavar="KEY.pem", help="a private or a public key")
    show.set_defaults(run=run_show)
    shared.examples(show, "weighbridge key show release.pub")
    rotate = verbs.add_parser(
        "rotate", help="make a new key for an identity of the keyring, and end the old one's time"
    )
    rotate.add_argument("identity", metavar="IDENTITY", help="a name in the keyring (weighbridge trust show)")
    rotate.add_argument(
        "--new", metavar="NAME", required=True, help="where the new pair goes, path without ending"
    )
    shared.keyring(rotate)
    rotate.set_defaults(run=run_rotate)
    shared.examples(rotate, "weighbridge key rotate release@example.org --new release-2027")
    for verb in (new, rotate):
        verb.add_argument(
            "--algorithm",
            choices=ALGORITHMS,
            default=ALGORITHMS[0],
            metavar="ALGORITHM",
            help=f"one of {', '.join(ALGORITHMS)}; every tool verifies the first, which is the default",
        )
        verb.add_argument(
            "--encrypt",
            action="store_true",
            help="lock the private key with a password: WEIGHBRIDGE_PASSWORD, or you are asked",
        )
    for verb in (new, show, rotate):
        verb.add_argument("--password-file", metavar="FILE", help="a file that holds the key's password")
        shared.output(verb, shared.BOTH)


def run_new(options: argparse.Namespace) -> int:
    """Make a pair."""
    from weighbridge.trust.keygen import new_key

    pair = new_key(f"{options.name}.key", options.algorithm, _new_password(options))
    stored = "encrypted" if pair.encrypted else "not encrypted: keep the file safe"
    lines = [f"private  {pair.private_path}  ({stored})", f"public   {pair.public_path}"]
    return _say(options, pair.facts, lines, private=str(pair.private_path), public=str(pair.public_path))


def run_show(options: argparse.Namespace) -> int:
    """Print type, fingerprint and hint."""
    from weighbridge.cli.keys import about, material, said_password
    from weighbridge.trust.keygen import show_key

    data = material(options.file)
    with about(options.file):
        facts = show_key(data, said_password(options.password_file))
    return _say(options, facts, [f"kind     {'private' if facts.private else 'public'} key"])


def run_rotate(options: argparse.Namespace) -> int:
    """Make the successor and tell the keyring."""
    from weighbridge.cli.keys import trust_dir
    from weighbridge.trust.keygen import rotate_key

    done = rotate_key(
        trust_dir(options.trust, None),
        options.identity,
        f"{options.new}.key",
        now=datetime.now(UTC),
        algorithm=options.algorithm,
        password=_new_password(options),
    )
    lines = [f"private  {done.pair.private_path}", f"public   {done.pair.public_path}"]
    lines += [f"ended    {fingerprint}" for fingerprint in done.ended]
    return _say(options, done.pair.facts, lines, ended=list(done.ended), private=str(done.pair.private_path))


def _new_password(options: argparse.Namespace) -> str | None:
    """With `--encrypt` or `--password-file`; asked for twice on a terminal. Raises `UsageError` (`password-needed`)."""
    from getpass import getpass

    from weighbridge.cli.keys import said_password
    from weighbridge.core.errors import UsageError

    if not (options.encrypt or options.password_file):
        return None
    said = said_password(options.password_file)
    if said is not None:
        return said
    if not sys.stdin.isatty():
        raise UsageError(
            "password-needed", "--encrypt needs a password", "--password-file FILE", "WEIGHBRIDGE_PASSWORD=…"
        )
    first, second = getpass("new password: "), getpass("again: ")
    if first != second:
        raise UsageError("password-mismatch", "the two passwords differ")
    return first


def _say(options: argparse.Namespace, facts: "KeyFacts", lines: list[str], **more: object) -> int:
    from weighbridge.cli.output import tell
    from weighbridge.core.text import visible

    body = {"algorithm": facts.algorithm, "fingerprint": facts.fingerprint, "hint": facts.hint, **more}
    rows = [("type", facts.algorithm), ("key", facts.fingerprint), ("hint", facts.hint)]
    told = [*lines, *(f"{word:<8} {text}" for word, text in rows)]
    return tell(options, body, [visible(line) for line in told], verdict=-2)
