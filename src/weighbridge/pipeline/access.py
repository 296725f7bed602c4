"""Who may do what, by a Cedar policy: principal (a signer with roles), action, resource.

    permit (principal in Role::"safety", action == Action::"approve", resource is Plan) when { resource.step == "train" };

Principals are `Person::"name"` in `Role::"…"` with `name`, `key` and `roles`; actions `run`, `approve` and `admit`; resources
`Plan` and `Contribution` with the attributes that docs/pipeline.md lists. What no rule permits is forbidden. A rule that cannot
be evaluated decides nothing in Cedar, so that a broken `forbid` would permit: here any error is a refusal.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.pipeline.reason import Reason
from weighbridge.sign.anchor import SignerCheck
from weighbridge.store import read_beside

MAX_POLICY = 1024**2
ACTIONS = ("run", "approve", "admit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A Cedar policy file."""

    text: str

    @property
    def digest(self) -> str:
        """`sha256:…` of the file: what a plan names it by."""
        return f"sha256:{hashlib.sha256(self.text.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who wants to do something, as the keyring knows them."""

    name: str
    key: str
    roles: tuple[str, ...]


def principal_of(signer: SignerCheck) -> Principal | None:
    """Who signed, as a Cedar policy sees them; None where that is nobody of the keyring."""
    if signer.outcome is not Outcome.PASS:
        return None
    return Principal(name=signer.by, key=signer.key, roles=signer.roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What it is done to."""

    kind: str
    """`Plan` or `Contribution`."""
    id: str
    attributes: Mapping[str, Any]


def read_access(path: Path) -> Access:
    """Raises `UsageError` (`no-such-path`, `bad-cedar`)."""
    data = read_beside(path, MAX_POLICY)
    if data is None:
        raise UsageError("no-such-path", f'there is no Cedar policy at "{visible(str(path))}"')
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if len(data) > MAX_POLICY or not text.strip():
        raise UsageError(
            "bad-cedar", f'"{visible(str(path))}" is no Cedar policy of at most {MAX_POLICY} bytes'
        )
    return Access(text=text)


def may(access: Access, principal: Principal | None, action: str, resource: Resource) -> Evidence:
    """The answer to `allowed`: PASS where a rule permits it, none forbids it, and all could be evaluated."""
    if principal is None:
        return _answer(Outcome.FAIL, "cedar-nobody", "nobody of the keyring asks, so no rule can permit it")
    try:
        import cedarpy
    except ImportError:
        return _answer(
            Outcome.UNKNOWN, "extra-missing", "a Cedar policy is named, and its reader is not installed"
        )
    request = {
        "principal": {"type": "Person", "id": principal.name},
        "action": {"type": "Action", "id": action},
        "resource": {"type": resource.kind, "id": resource.id},
        "context": {},
    }
    try:
        answer = cedarpy.is_authorized(request, access.text, _entities(principal, action, resource))
        errors: Sequence[str] = list(answer.diagnostics.errors)
        allowed = answer.allowed is True and answer.decision is cedarpy.Decision.Allow
        rules = ", ".join(answer.diagnostics.reasons)
    except Exception as error:  # a native library: whatever it raises is no permission
        return _answer(
            Outcome.FAIL, "cedar-error", f"the Cedar policy could not be asked: {visible(str(error), 200)}"
        )
    if errors:
        return _answer(
            Outcome.FAIL, "cedar-error", f"the Cedar policy has an error: {visible(str(errors[0]), 200)}"
        )
    asked = f"{visible(principal.name, 80)} {action} this {resource.kind.lower()}"
    if not allowed:
        return _answer(
            Outcome.FAIL,
            "cedar-denied",
            f"the Cedar policy does not let {asked} ({rules or 'no rule permits it'})",
        )
    return _answer(Outcome.PASS, "", f"the Cedar policy lets {asked} ({rules})")


def _answer(outcome: Outcome, code: str, why: str) -> Evidence:
    return Evidence(question="allowed", outcome=outcome, why=why, code=code)


def refusal(
    access: Access | None, principal: Principal | None, action: str, resource: Resource
) -> tuple[Reason, ...]:
    """Why it is not allowed; () where it is, or where there is no Cedar policy."""
    if access is None:
        return ()
    found = may(access, principal, action, resource)
    return () if found.outcome is Outcome.PASS else (Reason(code=found.code, why=found.why),)


def _entities(principal: Principal, action: str, resource: Resource) -> list[dict[str, Any]]:
    roles = [{"type": "Role", "id": role} for role in principal.roles]
    attributes = {"name": principal.name, "key": principal.key, "roles": list(principal.roles)}
    return [
        {"uid": {"type": "Person", "id": principal.name}, "attrs": attributes, "parents": roles},
        *({"uid": role, "attrs": {}, "parents": []} for role in roles),
        {"uid": {"type": "Action", "id": action}, "attrs": {}, "parents": []},
        {
            "uid": {"type": resource.kind, "id": resource.id},
            "attrs": dict(resource.attributes),
            "parents": [],
        },
    ]
