"""Whether an anchor might sign at that time: a trusted time where there is one, else now, against its dates."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from weighbridge.core.evidence import Outcome
from weighbridge.core.text import visible
from weighbridge.sign.anchor import Anchor, SignerCheck, TimestampAuthority
from weighbridge.sign.bundle import Bundle
from weighbridge.sign.clock import implausible
from weighbridge.sign.verify.results import stamp

CLOCK_SLACK = timedelta(days=1)
"""A trusted time may be this much later than our clock; beyond, one of the two is wrong and nothing is decided."""


def trusted_time(
    bundle: Bundle, authorities: Sequence[TimestampAuthority], now: datetime
) -> tuple[datetime | None, str]:
    """The signing time that a trusted authority vouches for; else None and a half-sentence that says why not."""
    if not bundle.timestamps:
        return None, ""
    if not authorities:
        return None, "; its timestamp is not used: no time-stamping authority is trusted"
    from weighbridge.sign import timestamps

    signature = bundle.envelope.signature
    time, why_not = timestamps.check_timestamps(bundle.timestamps, signature, authorities, now=now)
    return time, "" if time else f"; its timestamp does not count: {why_not}"


def in_time(
    anchor: Anchor, check: SignerCheck, time: datetime | None, note: str, now: datetime
) -> SignerCheck:
    """The check, or its refusal when the anchor might not sign at that time."""
    if check.outcome is not Outcome.PASS:
        return check
    check = replace(check, time=time, why=check.why + note)
    if time is None and implausible(now) and (anchor.not_before or anchor.not_after or anchor.revoked_at):
        why = f"the clock here says {now:%Y}, so nobody can say whether {anchor.name} may sign"
        return replace(check, outcome=Outcome.UNKNOWN, code="clock-implausible", why=why)
    if time and time > now + CLOCK_SLACK:
        why = f"signed {stamp(time)} says a trusted time, but the clock here says {stamp(now)}"
        return replace(check, outcome=Outcome.UNKNOWN, code="clock-wrong", why=why)
    code, why = _outside(anchor, time, now)
    return replace(check, outcome=Outcome.FAIL, code=code, why=why + note) if code else check


def _outside(anchor: Anchor, time: datetime | None, now: datetime) -> tuple[str, str]:
    """Code and reason when the anchor was not, or is no longer, allowed to sign; ("", "") when it was."""
    at = time or now
    when = f"signed {stamp(time)}" if time else "no trusted time says when it was signed"
    if anchor.not_before and at < anchor.not_before:
        return "anchor-not-yet-valid", f"{anchor.name} is trusted from {stamp(anchor.not_before)} on; {when}"
    if anchor.not_after and at > anchor.not_after:
        return "anchor-expired", f"{anchor.name} was trusted until {stamp(anchor.not_after)}; {when}"
    if anchor.revoked_at and at >= anchor.revoked_at:
        reason = f" ({visible(anchor.revocation_reason, 100)})" if anchor.revocation_reason else ""
        return "anchor-revoked", f"{anchor.name} was revoked {stamp(anchor.revoked_at)}{reason}; {when}"
    return "", ""
