"""Keys and keyrings as options name them: `--key`, `--root`, `--trust`, passwords."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.core.durable import refuse_no_folder
from weighbridge.core.errors import TrustError, UsageError
from weighbridge.core.report import Report
from weighbridge.core.text import visible
from weighbridge.core.value import replace
from weighbridge.sign.anchor import Anchor, CertificateAnchor, SigstoreAnchor, TimestampAuthority
from weighbridge.sign.signer import AnySigner, open_signer
from weighbridge.store import read_beside
from weighbridge.trust.keyring import Keyring, from_public_key, keyring_dir

if TYPE_CHECKING:
    from weighbridge.sign.bundle import Bundle

MAX_MATERIAL = 32 * 1024**2


def keyring_of_options(options: argparse.Namespace) -> Keyring | None:
    """Whom the command line trusts; None when it names nobody.

    With `--root`, `--by` names the leaf certificates that count; with `--trusted-root` the keyless identity.
    """
    anchors: list[Anchor] = [public_key(path, _name_of(path, options)) for path in _given(options, "key")]
    for path in _given(options, "root"):
        names = _given(options, "by")
        crls = tuple(material(crl) for crl in _given(options, "crl"))
        anchors.append(
            CertificateAnchor(
                name=names[0] if names else Path(path).stem,
                roots_pem=certificates(path),
                names=names,
                crls_pem=crls,
            )
        )
    if getattr(options, "trusted_root", None):
        anchors.append(_keyless(options))
    authorities = tuple(
        TimestampAuthority(name=Path(path).stem, roots_pem=certificates(path))
        for path in _given(options, "tsa")
    )
    return Keyring(anchors=tuple(anchors), authorities=authorities) if anchors or authorities else None


def _given(options: argparse.Namespace, name: str) -> tuple[str, ...]:
    """What was given of an option that may be given several times; not every command has each."""
    return tuple(getattr(options, name, None) or ())


def recallers(options: argparse.Namespace) -> tuple[Anchor, ...]:
    """Whom the command line lets call back (`--recall-key`); no other option gives anybody that role."""
    return tuple(public_key(path, Path(path).name, ("recall",)) for path in _given(options, "recall_key"))


def _name_of(path: str, options: argparse.Namespace) -> str:
    """A key given by hand is called by its file; `--by` with one key names it."""
    names = _given(options, "by")
    return names[0] if len(names) == 1 == len(options.key) else Path(path).name


def signed_by_given(
    bundles: "Sequence[Bundle]", options: argparse.Namespace, now: datetime
) -> tuple[str, str]:
    """`pass`, `fail` or `unknown`, and why: has one of the public keys of `--key` signed it?"""
    from weighbridge.core.evidence import Outcome
    from weighbridge.sign.verify import check_signer

    if not options.key:
        return "unknown", "not checked: no --key was given"
    anchors = [public_key(path, Path(path).name) for path in options.key]
    checks = [check_signer(bundle, anchors, (), now) for bundle in bundles]
    good = [check for check in checks if check.outcome is Outcome.PASS]
    return ("pass", f"by {good[0].by}") if good else ("fail", checks[0].why)


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
    return keyring_dir(given or configured, os.environ, Path.home())


def material(path: str) -> bytes:
    """A key, certificate or trusted root from disk. Raises `UsageError` (`no-such-path`)."""
    data = read_beside(Path(path), MAX_MATERIAL)
    if data is None:
        raise UsageError("no-such-path", f'there is no file at "{path}"')
    return data


def certificates(path: str) -> bytes:
    """A file of PEM certificates. Raises `UsageError` (`no-such-path`), `TrustError` (`certificate-unreadable`)."""
    data = material(path)
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise TrustError("certificate-unreadable", f'"{visible(path)}" holds no certificate in PEM form')
    return data


def public_key(path: str, name: str, roles: tuple[str, ...] = ()) -> Anchor:
    """A public key from disk under a name. Raises `TrustError` (`key-unreadable`, …)."""
    data = material(path)
    with about(path):
        return replace(from_public_key(data, name), roles=roles)


@contextmanager
def about(path: str) -> Iterator[None]:
    """Let an error about what is in a file name the file."""
    try:
        yield
    except TrustError as error:
        reason = error.message.partition(" See https://")[0]  # the library's page is about the library
        hints = [hint.replace("KEY.pem", shlex.quote(path)) for hint in error.hints]
        if error.code == "key-password-missing":
            hints = ["--password-file FILE", "WEIGHBRIDGE_PASSWORD=…"]
        raise TrustError(error.code, f'"{visible(path)}": {reason}', *hints) from None


def open_signers(options: argparse.Namespace) -> list[AnySigner]:
    """The signers of `--key`, none where none is named; a password is asked for only where a key needs one that nobody said."""
    return [_open(uri, options) for uri in options.key or ()]


def _open(uri: str, options: argparse.Namespace) -> AnySigner:
    chain = certificates(options.certificate) if options.certificate else b""

    def opened(password: str | None) -> AnySigner:
        return open_signer(
            uri,
            password=password,
            chain_pem=chain,
            trust_config_json=material(options.trust_config) if options.trust_config else b"",
            identity_token=options.identity_token,
        )

    password = said_password(options.password_file)
    if uri.startswith(("pkcs11:", "sigstore:")):
        return _opened(uri, opened, password)  # a token's address can hold its PIN: it is not repeated
    with about(uri):
        return _opened(uri, opened, password)


def _opened(uri: str, opened: Callable[[str | None], AnySigner], password: str | None) -> AnySigner:
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

    return opened(getpass(f"password of {uri.partition('?')[0]}: "))


def said_password(file: str | None) -> str | None:
    """From a file or the environment; never from the command line, where everybody could read it."""
    if file:
        return material(file).decode("utf-8", "surrogateescape").rstrip("\r\n")
    return os.environ.get("WEIGHBRIDGE_PASSWORD")


def refuse_attest(options: argparse.Namespace) -> None:
    """Refuse a statement that cannot be signed or written before any work is done for it.

    Raises `UsageError` (`attest-key-needed`, `cannot-write`), `TrustError`.
    """
    if not options.attest_key:
        raise UsageError("attest-key-needed", "--attest needs --attest-key KEY to sign the verdict with")
    refuse_no_folder(Path(options.attest))
    with about(options.attest_key):
        open_signer(options.attest_key, password=said_password(None))


def attest_report(report: Report, options: argparse.Namespace) -> None:
    """Leave the verdict as a signed statement."""
    from weighbridge.core.wire import write_json
    from weighbridge.report.attest import check_statement
    from weighbridge.signing import attest

    signer = open_signer(options.attest_key, password=said_password(None))
    attest(write_json(check_statement(report)), [signer], Path(options.attest))
