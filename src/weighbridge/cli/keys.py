"""Keys and keyrings as options name them: `--key`, `--root`, `--trust`, passwords."""

import argparse
import os
import sys
from pathlib import Path

from weighbridge.core.errors import TrustError, UsageError
from weighbridge.core.report import Report
from weighbridge.sign.anchor import Anchor, CertificateAnchor, SigstoreAnchor, TimestampAuthority
from weighbridge.sign.signer import AnySigner, open_signer
from weighbridge.store import read_beside
from weighbridge.trust.keyring import Keyring, from_public_key

MAX_MATERIAL = 32 * 1024**2


def keyring_of_options(options: argparse.Namespace) -> Keyring | None:
    """Whom the command line trusts; None when it names nobody.

    With `--root`, `--by` names the leaf certificates that count; with `--trusted-root` the keyless identity.
    """
    anchors: list[Anchor] = [
        from_public_key(material(path), _name_of(path, options)) for path in options.key or ()
    ]
    for path in options.root or ():
        names = tuple(options.by or ())
        crls = tuple(material(crl) for crl in options.crl or ())
        anchors.append(
            CertificateAnchor(
                name=names[0] if names else Path(path).stem,
                roots_pem=material(path),
                names=names,
                crls_pem=crls,
            )
        )
    if options.trusted_root:
        anchors.append(_keyless(options))
    authorities = tuple(
        TimestampAuthority(name=Path(path).stem, roots_pem=material(path)) for path in options.tsa or ()
    )
    return Keyring(anchors=tuple(anchors), authorities=authorities) if anchors or authorities else None


def _name_of(path: str, options: argparse.Namespace) -> str:
    """A key given by hand is called by its file; `--by` with one key names it."""
    if options.by and len(options.by) == 1 and len(options.key) == 1:
        return str(options.by[0])
    return Path(path).name


def _keyless(options: argparse.Namespace) -> SigstoreAnchor:
    if not options.by or len(options.by) != 1 or not options.issuer:
        raise UsageError(
            "identity-needed",
            "--trusted-root needs --by IDENTITY and --issuer URL: a keyless signature names somebody",
        )
    identity = options.by[0]
    return SigstoreAnchor(
        name=identity,
        identity=identity,
        issuer=options.issuer,
        trusted_root_json=material(options.trusted_root),
    )


def trust_dir(given: str | None, configured: str | None) -> Path:
    """`--trust`, else the policy file's, else WEIGHBRIDGE_TRUST, else the user's configuration folder."""
    chosen = given or configured or os.environ.get("WEIGHBRIDGE_TRUST")
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "weighbridge" / "trust"


def material(path: str) -> bytes:
    """A key, certificate or trusted root from disk. Raises `UsageError` (`no-such-path`)."""
    data = read_beside(Path(path), MAX_MATERIAL)
    if data is None:
        raise UsageError("no-such-path", f'there is no file at "{path}"')
    return data


def open_signers(options: argparse.Namespace) -> list[AnySigner]:
    """The signers of `--key`; the password is asked for only when a key needs one and nobody said it."""
    return [_open(uri, options) for uri in options.key]


def _open(uri: str, options: argparse.Namespace) -> AnySigner:
    def opened(password: str | None) -> AnySigner:
        return open_signer(
            uri,
            password=password,
            chain_pem=material(options.certificate) if options.certificate else b"",
            trust_config_json=material(options.trust_config) if options.trust_config else b"",
            identity_token=options.identity_token,
        )

    password = said_password(options.password_file)
    try:
        return opened(password)
    except TrustError as error:
        if (
            password is not None
            or error.code not in ("key-password-missing", "pin-missing")
            or not sys.stdin.isatty()
        ):
            raise
    from getpass import getpass

    return opened(getpass(f"password of {uri}: "))


def said_password(file: str | None) -> str | None:
    """From a file or the environment; never from the command line, where everybody could read it."""
    if file:
        return material(file).decode("utf-8", "surrogateescape").rstrip("\r\n")
    return os.environ.get("WEIGHBRIDGE_PASSWORD")


def attest_report(report: Report, options: argparse.Namespace) -> None:
    """Leave the verdict as a signed statement. Raises `UsageError` (`attest-key-needed`)."""
    from weighbridge.core.wire import write_json
    from weighbridge.report.attest import check_statement
    from weighbridge.signing import attest

    if not options.attest_key:
        raise UsageError("attest-key-needed", "--attest needs --attest-key KEY to sign the verdict with")
    signer = open_signer(options.attest_key, password=said_password(None))
    attest(write_json(check_statement(report)), [signer], Path(options.attest))
