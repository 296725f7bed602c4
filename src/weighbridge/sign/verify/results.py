"""The result for one signature, and how a difference and a time are said in it."""

from datetime import UTC, datetime

from weighbridge.core.evidence import Outcome
from weighbridge.core.manifest import Difference
from weighbridge.core.report import SignatureResult
from weighbridge.core.text import counted, some
from weighbridge.sign.anchor import SignerCheck
from weighbridge.sign.bundle import Bundle


def result(
    bundle: Bundle,
    check: SignerCheck,
    outcome: Outcome,
    code: str,
    why: str,
    *,
    covers: str = "",
    difference: Difference | None = None,
) -> SignatureResult:
    """The result of the step that decided, with what is known of the signer by then."""
    return SignatureResult(
        outcome=outcome,
        why=why,
        code=code,
        by=check.by,
        roles=check.roles,
        how=check.how,
        when=stamp(check.time) if check.time else "",
        covers=covers,
        key=check.key,
        bundle=bundle.source,
        difference=difference,
    )


def stamp(time: datetime) -> str:
    """A time in UTC, to the second, as RFC 3339 writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def summary(difference: Difference) -> str:
    """One line: `2 files differ from what was signed: changed model.safetensors, extra adapter.bin`."""
    parts = {"changed": difference.changed, "extra": difference.added, "missing": difference.removed}
    total = [path for paths in parts.values() for path in paths]
    said = ", ".join(f"{word} {some(paths)}" for word, paths in parts.items() if paths)
    return f"{counted(len(total), 'file')} {'differs' if len(total) == 1 else 'differ'} from what was signed: {said}"
