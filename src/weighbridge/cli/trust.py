"""`weighbridge trust`: the keyring, a folder that names whom this machine believes."""

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from weighbridge.cli.options import Parser

if TYPE_CHECKING:
    from weighbridge.sign.anchor import Anchor

EXAMPLES = (
    "weighbridge trust init",
    "weighbridge trust add release@example.org --key publisher.pub --role publisher",
    'weighbridge trust revoke release@example.org --reason "laptop stolen"',
)


def configure(parser: argparse.ArgumentParser) -> None:
    """init, show, add and revoke."""
    verbs = parser.add_subparsers(
        dest="verb", metavar="init|show|add|revoke", required=True, parser_class=Parser
    )
    init = verbs.add_parser("init", help="make an empty keyring")
    init.set_defaults(run=run_init)
    show = verbs.add_parser("show", help="list the identities, their keys, roles and validity")
    show.set_defaults(run=run_show)
    add = verbs.add_parser("add", help="trust somebody from now on")
    add.add_argument("name", metavar="NAME", help="what policies call them, such as release@example.org")
    kind = add.add_mutually_exclusive_group(required=True)
    kind.add_argument("--key", metavar="PUBLIC.pem", help="by a public key")
    kind.add_argument("--root", metavar="ROOTS.pem", help="by certificates under this private authority")
    kind.add_argument(
        "--trusted-root", metavar="JSON", help="by keyless signatures under this Sigstore trusted root"
    )
    kind.add_argument("--tsa", metavar="ROOTS.pem", help="as a time-stamping authority")
    add.add_argument(
        "--leaf", metavar="NAME", action="append", help="with --root: a certificate name that counts"
    )
    add.add_argument("--crl", metavar="CRL", action="append", help="with --root: a revocation list")
    add.add_argument(
        "--identity", metavar="WHO", help="with --trusted-root: e-mail or URI in the certificate"
    )
    add.add_argument("--issuer", metavar="URL", help="with --trusted-root: who vouches for it")
    add.add_argument(
        "--role",
        metavar="ROLE",
        action="append",
        help="what the signer counts for in policies: publisher, scanner, approver, …",
    )
    add.add_argument(
        "--from",
        metavar="DATE",
        dest="valid_from",
        type=moment,
        help="trusted from this day on: 2026-11-22, or with a time",
    )
    add.add_argument("--until", metavar="DATE", type=moment, help="trusted until this day")
    add.set_defaults(run=run_add)
    revoke = verbs.add_parser(
        "revoke", help="refuse what somebody signed, unless a trusted time proves it older"
    )
    revoke.add_argument("name", metavar="NAME", help="a name in the keyring (weighbridge trust show)")
    revoke.add_argument(
        "--at", metavar="DATE", type=moment, help="revoked since then; since now when left out"
    )
    revoke.add_argument("--key", metavar="FINGERPRINT", default="", help="only this one of several keys")
    revoke.add_argument("--reason", metavar="TEXT", default="", help="kept in the keyring and shown")
    revoke.set_defaults(run=run_revoke)
    for verb in (init, show, add, revoke):
        verb.add_argument("--trust", metavar="DIR", help="the keyring's folder; yours when left out")
        verb.add_argument(
            "-f",
            "--format",
            metavar="FORMAT",
            choices=("human", "json"),
            default="human",
            help="how to print the answer: human (default) or json",
        )


def moment(text: str) -> datetime:
    """A date or time; UTC where no offset is given."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is no date such as 2026-11-22') from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def run_init(options: argparse.Namespace) -> int:
    """Make the folder."""
    from weighbridge.cli.keys import trust_dir
    from weighbridge.trust.keyring import init_keyring

    folder = trust_dir(options.trust, None)
    init_keyring(folder)
    return _done(options, f"made {folder}: it trusts nobody yet", keyring=str(folder))


def run_show(options: argparse.Namespace) -> int:
    """List everybody, with their state now."""
    from weighbridge.cli.keys import trust_dir
    from weighbridge.core.text import visible
    from weighbridge.core.wire import write_json
    from weighbridge.trust.keyring import load_keyring, standings

    keyring = load_keyring(trust_dir(options.trust, None))
    rows = standings(keyring, datetime.now(UTC))
    if options.format == "json":
        people = [
            {
                "name": row.name,
                "kind": row.kind,
                "what": row.what,
                "key": row.key,
                "roles": list(row.roles),
                "state": row.state,
                "not_before": _stamp(row.not_before),
                "not_after": _stamp(row.not_after),
                "revoked_at": _stamp(row.revoked_at),
                "reason": row.reason,
            }
            for row in rows
        ]
        authorities = [authority.name for authority in keyring.authorities]
        print(write_json({"identities": people, "timestamp_authorities": authorities}, indent=2).decode())
        return 0
    for row in rows:
        mark = "✓" if row.state == "good" else "✗"
        roles = f"  roles {', '.join(row.roles)}" if row.roles else ""
        why = f": {row.reason}" if row.reason else ""
        print(
            f"{mark} {visible(row.name)}  {row.state}{visible(why)}\n    {visible(row.what)}{visible(roles)}"
        )
        print(f"    key {row.key}\n" if row.key else "", end="")
    for authority in keyring.authorities:
        print(f"✓ {visible(authority.name)}  time-stamping authority")
    if not rows:
        print(f"nobody is trusted in {keyring.location}\n  hint  weighbridge trust add NAME --key PUBLIC.pem")
    return 0


def run_add(options: argparse.Namespace) -> int:
    """Add one identity or authority."""
    from weighbridge.cli.keys import certificates, trust_dir
    from weighbridge.sign.anchor import TimestampAuthority
    from weighbridge.trust.keyring import add_authority, add_identity

    folder = trust_dir(options.trust, None)
    if options.tsa:
        add_authority(folder, TimestampAuthority(name=options.name, roots_pem=certificates(options.tsa)))
    else:
        add_identity(folder, _anchor(options))
    return _done(options, f"{options.name} is trusted in {folder}", keyring=str(folder), name=options.name)


def _anchor(options: argparse.Namespace) -> "Anchor":
    from weighbridge.cli.keys import certificates, material, public_key
    from weighbridge.core.errors import UsageError
    from weighbridge.sign.anchor import CertificateAnchor, KeyAnchor, SigstoreAnchor

    common = {
        "name": options.name,
        "roles": tuple(options.role or ()),
        "not_before": options.valid_from,
        "not_after": options.until,
    }
    if options.key:
        public_key(options.key, options.name)  # says what is wrong with the file, by its name
        return KeyAnchor(public_key_pem=material(options.key), **common)
    if options.root:
        crls = tuple(material(crl) for crl in options.crl or ())
        return CertificateAnchor(
            roots_pem=certificates(options.root), names=tuple(options.leaf or ()), crls_pem=crls, **common
        )
    if not (options.identity and options.issuer):
        raise UsageError("identity-needed", "--trusted-root needs --identity WHO and --issuer URL")
    return SigstoreAnchor(
        identity=options.identity,
        issuer=options.issuer,
        trusted_root_json=material(options.trusted_root),
        **common,
    )


def run_revoke(options: argparse.Namespace) -> int:
    """Revoke one identity."""
    from weighbridge.cli.keys import trust_dir
    from weighbridge.trust.keyring import revoke_identity

    at = options.at or datetime.now(UTC)
    count = revoke_identity(
        trust_dir(options.trust, None), options.name, at=at, reason=options.reason, key=options.key
    )
    text = f"{options.name} is revoked since {_stamp(at)} ({count} entries changed)"
    return _done(options, text, name=options.name, revoked_at=_stamp(at), changed=count)


def _stamp(time: datetime | None) -> str | None:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else None


def _done(options: argparse.Namespace, text: str, **facts: object) -> int:
    from weighbridge.core.text import visible
    from weighbridge.core.wire import write_json

    print(write_json(facts, indent=2).decode() if options.format == "json" else visible(text))
    return 0
