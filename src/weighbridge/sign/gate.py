"""A gate's verdict, read as a signature: "I weighed exactly these files, by this policy, and admitted them".

The statement (predicate `weighbridge.check/v1`, written by `check --attest`) names the files by their file-set digest, so
it vouches for the same thing as a publisher's signature does: who, and over what. Whoever trusts the gate's key can let
it count towards a threshold, alone or for a role of its own. A verdict other than admitted never counts.

Only what a signature needs is read for its meaning here; `attest.predicates.check` reads the whole. What that refuses of the
fields below is refused here too, and what it accepts says the same here (`tests/attest/test_check_readers.py`).
"""

from typing import Any

from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.manifest import Digest
from weighbridge.core.report import CHECK_PREDICATE, FILES_ALGORITHM
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.core.verdict import Decision
from weighbridge.core.wire import read_json
from weighbridge.sign.fields import need, take

FIELDS: dict[str, type] = {
    "verdict": str, "reasons": list, "admittedUnknowns": list, "policy": dict, "evidence": list, "digests": dict,
    "counts": dict, "tool": dict, "timeVerified": str,
}  # fmt: skip
"""Every field of the predicate."""
_BAD = "bad-verdict"
MAX_STATEMENT = 4 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """What a gate said."""

    files: Digest
    """The file-set digest of what it weighed."""
    verdict: str
    """`admitted`, `refused` or `undecided`."""
    policy: str
    """Name and digest of the policy it used."""
    time: str
    """When, by the gate's own clock: nobody else vouches for it."""


def is_verdict(payload: bytes) -> bool:
    """Whether a statement is a gate's verdict. Cheap, and never raises."""
    if CHECK_PREDICATE.encode() not in payload:
        return False
    try:
        document = read_json(payload, "the statement", limit=MAX_STATEMENT)
    except (InputError, LimitError):
        return False
    return isinstance(document, dict) and document.get("predicateType") == CHECK_PREDICATE


def read_verdict(payload: bytes) -> GateVerdict:
    """The verdict in a statement. Raises `InputError` (`bad-verdict`, `bad-json`, `duplicate-key`) and `LimitError`."""
    document = need(read_json(payload, "the verdict", limit=MAX_STATEMENT), dict, _BAD, "the verdict")
    if take(document, "predicateType", str, _BAD, "the verdict") != CHECK_PREDICATE:
        raise InputError(_BAD, "the statement is no verdict of a gate")
    predicate = take(document, "predicate", dict, _BAD, "the verdict")
    _refuse_others(predicate)
    files = _files(take(document, "subject", list, _BAD, "the verdict"))
    if (predicate.get("digests") or {}).get("files") not in (None, str(files)):
        raise InputError(_BAD, "the verdict is about one model, and tells the digests of another")
    return GateVerdict(
        files=files,
        verdict=_word(take(predicate, "verdict", str, _BAD, "the verdict")),
        policy=_policy(predicate),
        time=(predicate.get("timeVerified") or "")[:40],
    )


def _refuse_others(predicate: dict[str, Any]) -> None:
    """A field that nobody reads could change what is said, and one of another type says nothing."""
    for name, value in predicate.items():
        if name not in FIELDS:
            raise InputError(_BAD, f'the verdict has "{visible(name, 60)}", which this version does not know')
        if value is not None:
            need(value, FIELDS[name], _BAD, f'"{name}" of the verdict')


def _word(verdict: str) -> str:
    if verdict not in set(Decision):
        raise InputError(_BAD, f'"{visible(verdict, 60)}" is no verdict')
    return verdict


def _policy(predicate: dict[str, Any]) -> str:
    policy = predicate.get("policy")
    if policy is None:
        return "unknown"
    name, digest = (take(policy, key, str, _BAD, '"policy" of the verdict') for key in ("name", "digest"))
    return f"{name} {digest}".strip()[:200]


def _files(subjects: list[Any]) -> Digest:
    """The one subject's file-set digest; a name alone is no subject."""
    if len(subjects) != 1:
        raise InputError(_BAD, f"the verdict is about {len(subjects)} subjects, not one")
    digests = take(need(subjects[0], dict, _BAD, "the subject"), "digest", dict, _BAD, "the subject")
    known = [
        (name.removeprefix(FILES_ALGORITHM), value)
        for name, value in digests.items()
        if name.startswith(FILES_ALGORITHM)
    ]
    if len(known) != 1 or not isinstance(known[0][1], str):
        raise InputError(_BAD, "the verdict names no file-set digest")
    return Digest.parse(f"{known[0][0]}:{known[0][1]}")
