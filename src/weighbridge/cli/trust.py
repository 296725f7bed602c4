"""`weighbridge trust`: the keyring, a folder that names whom this machine believes."""

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from weighbridge.sign.anchor import Anchor
    from weighbridge.trust.keyring.standing import Standing

EXAMPLES = (
    "weighbridge trust init",
    "weighbridge trust add release@example.org --key publisher.pub --role publisher",
    'weighbridge trust revoke release@example.org --reason "laptop stolen"',
)


def configure(parser: argparse.ArgumentParser) -> None:
    """init, show, add and revoke."""
    verbs = shared.verbs(parser, ("init", "show", "add", "revoke"))
    init = verbs.add_parser("init", help="make an empty keyring")
    init.set_defaults(run=run_init)
    shared.examples(init, "weighbridge trust init", "weighbridge trust init --trust ./trust")
    show = verbs.add_parser("show", help="list the identities, their keys, roles and validity")
    show.set_defaults(run=run_show)
    shared.examples(show, "weighbridge trust show")
    _adding(verbs.add_parser("add", help="trust somebody from now on"))
    _revoking(
        verbs.add_parser("revoke", help="refuse what somebody signed, unless a trusted time proves it older")
    )
    for verb in verbs.choices.values():
        shared.keyring(verb)
        shared.output(verb, shared.BOTH)


def _adding(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", metavar="NAME", help="what policies call them, such as release@example.org")
    shared.add(verb.add_mutually_exclusive_group(required=True), (
        shared.value("--key", "PUBLIC.pem", "by a public key"),
        shared.value("--root", "ROOTS.pem", "by certificates under this private authority"),
        shared.value("--trusted-root", "JSON", "by keyless signatures under this Sigstore trusted root"),
        shared.value("--tsa", "ROOTS.pem", "as a time-stamping authority"),
    ))  # fmt: skip
    shared.add(verb, (
        shared.many("--leaf", "NAME", "with --root: a certificate name that counts"),
        shared.many("--crl", "CRL", "with --root: a revocation list"),
        shared.value("--identity", "WHO", "with --trusted-root: e-mail or URI in the certificate"),
        shared.value("--issuer", "URL", "with --trusted-root: who vouches for it"),
        shared.many("--role", "ROLE", "what the signer counts for in policies: publisher, scanner, approver, …"),
        shared.value("--from", "DATE", "trusted from this day on: 2026-11-22, or with a time",
                     dest="valid_from", type=shared.moment),
        shared.value("--until", "DATE", "trusted until this day", type=shared.moment),
    ))  # fmt: skip
    verb.set_defaults(run=run_add)
    shared.examples(
        verb,
        "weighbridge trust add release@example.org --key publisher.pub --role publisher",
        "weighbridge trust add cleo --key cleo.pub --role safety --until 2027-12-31",
    )


def _revoking(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", metavar="NAME", help="a name in the keyring (weighbridge trust show)")
    shared.add(verb, (
        shared.value("--at", "DATE", "revoked since then; since now when left out", type=shared.moment),
        shared.value("--key", "FINGERPRINT", "only this one of several keys", default=""),
        shared.value("--reason", "TEXT", "kept in the keyring and shown", default=""),
    ))  # fmt: skip
    verb.set_defaults(run=run_revoke)
    shared.examples(verb, 'weighbridge trust revoke release@example.org --reason "laptop stolen"')


def run_init(options: argparse.Namespace) -> int:
    """Make the folder."""
    from weighbridge.cli.keys import trust_dir
    from weighbridge.trust.keyring.editing import init_keyring

    folder = trust_dir(options.trust, None)
    init_keyring(folder)
    return _done(options, f"made {folder}: it trusts nobody yet", keyring=str(folder))


def run_show(options: argparse.Namespace) -> int:
    """List everybody, with their state now."""
    from weighbridge.cli.keys import trust_dir
    from weighbridge.cli.output import tell
    from weighbridge.core.text import counted, visible
    from weighbridge.trust.keyring import load_keyring
    from weighbridge.trust.keyring.standing import standings

    keyring = load_keyring(trust_dir(options.trust, None))
    rows = standings(keyring, datetime.now(UTC))
    authorities = [authority.name for authority in keyring.authorities]
    lines = [line for row in rows for line in _shown(row)]
    lines += [f"✓ {visible(name)}  time-stamping authority" for name in authorities]
    if not rows:
        lines += [f"nobody is trusted in {visible(str(keyring.location))}"]
        lines += ["  hint  weighbridge trust add NAME --key PUBLIC.pem"]
    good = sum(row.state == "good" for row in rows)
    lines.append(f"KEYRING: {counted(len(rows), 'identity')}, {good} good")
    body = {"identities": [_row(row) for row in rows], "timestamp_authorities": authorities}
    return tell(options, body, lines, verdict=-1)


def _row(row: "Standing") -> dict[str, Any]:
    return {
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


def _shown(row: "Standing") -> list[str]:
    from weighbridge.core.text import visible

    mark = "✓" if row.state == "good" else "✗"
    roles = f"  roles {', '.join(row.roles)}" if row.roles else ""
    why = f": {row.reason}" if row.reason else ""
    lines = [
        f"{mark} {visible(row.name)}  {row.state}{visible(why)}",
        f"    {visible(row.what)}{visible(roles)}",
    ]
    return [*lines, f"    key {row.key}"] if row.key else lines


def run_add(options: argparse.Namespace) -> int:
    """Add one identity or authority."""
    from weighbridge.cli.keys import certificates, trust_dir
    from weighbridge.sign.anchor import TimestampAuthority
    from weighbridge.trust.keyring.editing import add_authority, add_identity

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
    from weighbridge.trust.keyring.editing import revoke_identity

    at = options.at or datetime.now(UTC)
    count = revoke_identity(
        trust_dir(options.trust, None), options.name, at=at, reason=options.reason, key=options.key
    )
    text = f"{options.name} is revoked since {_stamp(at)} ({count} entries changed)"
    return _done(options, text, name=options.name, revoked_at=_stamp(at), changed=count)


def _stamp(time: datetime | None) -> str | None:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else None


def _done(options: argparse.Namespace, text: str, **facts: object) -> int:
    from weighbridge.cli.output import tell
    from weighbridge.core.text import visible

    return tell(options, facts, [visible(text)])
