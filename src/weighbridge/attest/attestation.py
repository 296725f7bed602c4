"""Attestation: one statement, and who stands behind it. Files of bundles (`*.jsonl`) in, attestations out.

Nothing vanishes: a line that cannot be read is an attestation without a statement, with its code. A statement without a
good signature of somebody trusted is only claimed, whatever it says. The same statement by several signers is several
attestations; the same by one signer twice is one.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Outcome
from weighbridge.core.manifest import Digest
from weighbridge.core.statement import Statement, read_statement
from weighbridge.core.value import dataclass
from weighbridge.sign.anchor import Anchor, SignerCheck, TimestampAuthority
from weighbridge.sign.bundle import Bundle
from weighbridge.sign.verify import check_signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """One line of a file of statements, judged."""

    source: str
    """The file and line."""
    bundle: Bundle
    signer: SignerCheck
    """PASS: somebody of the keyring signed it. Anything else: it is only claimed, and why."""
    statement: Statement | None = None
    """None where it could not be read; `code` and `why` say the reason."""
    code: str = ""
    why: str = ""

    @property
    def digest(self) -> str:
        """`sha256:…` of the payload: the statement's name in the log, in lineages and in other statements."""
        return f"sha256:{hashlib.sha256(self.bundle.envelope.payload).hexdigest()}"

    @property
    def is_signed(self) -> bool:
        """Whether somebody of the keyring stands behind a statement that could be read."""
        return self.statement is not None and self.signer.outcome is Outcome.PASS

    def is_about(self, files: Digest | None, tensors: Digest | None) -> bool:
        """Whether one of its subjects is the artifact with these digests."""
        subjects = self.statement.subjects if self.statement else ()
        return any(subject.is_same(files, tensors) for subject in subjects)


def judge_all(
    bundles: Iterable[Bundle],
    anchors: Sequence[Anchor],
    authorities: Sequence[TimestampAuthority],
    now: datetime,
) -> tuple[Attestation, ...]:
    """Every bundle as an attestation, each (signer, statement) once, in their order. Never raises."""
    return tuple(_distinct(judge_one(bundle, anchors, authorities, now) for bundle in bundles))


def judge_one(
    bundle: Bundle, anchors: Sequence[Anchor], authorities: Sequence[TimestampAuthority], now: datetime
) -> Attestation:
    """Who signed it, then what it says: its text is read whoever signed, and counts only for whom it may."""
    return attested(bundle, check_signer(bundle, anchors, authorities, now))


def attested(bundle: Bundle, signer: SignerCheck) -> Attestation:
    """The attestation of a bundle whose signer has been judged."""
    statement, code, why = None, bundle.code, bundle.why
    if not code:
        try:
            statement = read_statement(bundle.envelope.payload, "the statement")
        except (InputError, LimitError) as error:
            code, why = error.code, error.message
    return Attestation(
        source=bundle.source, bundle=bundle, signer=signer, statement=statement, code=code, why=why
    )


def _distinct(attestations: Iterable[Attestation]) -> Iterator[Attestation]:
    seen: set[tuple[str, str]] = set()
    for one in attestations:
        who = one.signer.key if one.is_signed else one.bundle.envelope.signature.hex()
        if one.code or (who, one.digest) not in seen:
            yield one
        seen.add((who, one.digest))
