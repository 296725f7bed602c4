"""Policy: what a gate asks and what it does with the answers, with Settings: how this machine works while asking.

Both come from one `weighbridge.toml`, laid over the presets that it extends. A policy has a name, a digest over what it
decides (not over comments, order or where a line stood), and remembers for each effective line the file that set it.
"""

import hashlib
import json
from dataclasses import field, replace
from datetime import date
from typing import Any

from weighbridge.core.budget import Limits
from weighbridge.core.errors import UsageError
from weighbridge.core.value import dataclass
from weighbridge.policy.words import Findings, Line, Need, PolicyRule, StepRule, Suppression, Unknown

COMMANDS: dict[str, tuple[str, ...]] = {
    "verify": ("signed", "intact", "policy"),
    "scan": ("safe", "read", "others", "policy"),
    "trace": ("traced", "data", "approved", "policy"),
    "sweep": ("current",),
}
"""Commands that ask only a part of the policy; all others ask all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where evidence lies that does not lie beside the model (`[evidence]`); relative to the file that says so."""

    statements: tuple[str, ...] = ()
    """Files of bundles, or stores of statements."""
    log_policy: str | None = None
    """Which logs and witnesses count."""
    recalls: tuple[str, ...] = ()
    """Recall lists."""
    lineage: str | None = None
    """The lineage's database, a path or a URL."""
    layout: str | None = None
    """A layout of in-toto that the model's chain must hold."""
    layout_keys: tuple[str, ...] = ()
    """Public keys of its owners, all of whom must have signed it."""
    link_dir: str | None = None
    """The folder of its links; beside the layout when left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Who must agree before a contribution of others leaves quarantine (`[intake]`)."""

    approvals: tuple[tuple[str, int], ...] = ()
    """(role, how many people of it), sorted."""
    waivers: tuple[str, ...] = ()
    """Roles that may waive findings of severity error, with a reason."""
    cedar: str | None = None
    """A Cedar policy that says who may approve and let out what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the program works here; nothing in it changes what the policy asks."""

    trust_dir: str | None = None
    """The keyring; a relative path is resolved against the folder of the file that set it."""
    limits: Limits = field(default_factory=Limits)
    jobs: int | None = None
    format: str = "human"
    color: str = "auto"
    min_severity: str = "note"
    evidence: Places = field(default_factory=Places)
    intake: Intake = field(default_factory=Intake)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is asked of a model. The field docs give the words; `docs/policy.md` explains them to people."""

    name: str
    signature: Need = Need.REQUIRED
    """OPTIONAL lets a model pass that has no signature at all; one that is there must hold."""
    signers: tuple[str, ...] = ()
    """Names of the keyring that count; () for everybody in it."""
    roles: tuple[tuple[str, int], ...] = ()
    """(role, how many different signers of it), sorted."""
    threshold: int = 1
    """How many different signers in all."""
    log: Need = Need.OPTIONAL
    trace: tuple[str, ...] = ()
    """The steps that the model's chain must have, first to last; who may sign which stands in `steps`."""
    steps: tuple[StepRule, ...] = ()
    base: Need = Need.OPTIONAL
    """REQUIRED: somebody trusted must have signed which base it is an adapter for."""
    data: Need = Need.OPTIONAL
    fresh: Need = Need.OPTIONAL
    max_age: int = 30
    """Days after which the list of recalls or the log's head is no longer fresh."""
    recalls: Need = Need.OPTIONAL
    """REQUIRED: without a list of recalls nobody knows whether the model still stands."""
    approval: Need = Need.OPTIONAL
    approvals: tuple[tuple[str, int], ...] = ()
    """(role, how many people of it), sorted."""
    others: tuple[str, ...] = ()
    """Names of scanners whose results (SARIF) must be there."""
    plugins: tuple[str, ...] = ()
    """Installed packages whose rules look too (`[scan] rules`)."""
    loaders: tuple[str, ...] = ()
    """`torch==2.5`: the environment that is judged for (`[scan] loaders`); whatever is not named counts as any."""
    weights: bool = False
    """Look at the numbers of tensors too (`[scan] weights`)."""
    findings: Findings = Findings.NO_ERRORS
    unknown: tuple[tuple[str, Unknown], ...] = (("default", Unknown.UNDECIDED),)
    """(question or `default`, what to do), sorted; use `unknown_for`."""
    valid_until: date | None = None
    """The last day (UTC) of the policy itself; after it the question `policy` is UNKNOWN."""
    rules: tuple[PolicyRule, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    settings: Settings = field(default_factory=Settings)
    """No part of the policy's meaning or digest; nor are the two below."""
    lines: tuple[Line, ...] = ()
    """Every effective line with its source, in the order of the schema (`policy explain`)."""
    sources: tuple[str, ...] = ()
    """The layers, lowest first: presets, then files."""

    def __post_init__(self) -> None:
        if self.signers and self.threshold > len(self.signers):
            raise UsageError(
                "threshold-unreachable",
                f"threshold {self.threshold} can never be met by {len(self.signers)} signers",
            )

    @property
    def questions(self) -> tuple[str, ...]:
        """What the policy asks, each question once, in the order of the screen. Never empty."""
        asked = {
            "signed": True,
            "intact": True,
            "safe": self.findings is not Findings.ANY,
            "read": True,
            "others": bool(self.others),
            "logged": self.log is Need.REQUIRED,
            "traced": bool(self.layout or self.settings.evidence.layout),
            "based": self.base is Need.REQUIRED,
            "data": self.data is Need.REQUIRED,
            "approved": self.approval is Need.REQUIRED or bool(self.approvals),
            "current": self.recalls is Need.REQUIRED,
            "fresh": self.fresh is Need.REQUIRED,
            "policy": self.valid_until is not None,
        }
        return (
            *(question for question, wanted in asked.items() if wanted),
            *(rule.question for rule in self.rules),
        )

    @property
    def layout(self) -> tuple[StepRule, ...]:
        """The steps that are asked for, in their order: those of `trace`, or else every `[[policy.step]]`."""
        rules = {rule.name: rule for rule in self.steps}
        return tuple(rules.get(name, StepRule(name=name)) for name in self.trace or rules)

    def questions_of(self, command: str) -> tuple[str, ...]:
        """The part of `questions` that a command asks: `verify`, `scan` and `trace` answer only their own.

        `trace` asks where the model comes from, whatever the policy asks.
        """
        part = COMMANDS.get(command)
        questions = self.questions if part is None else tuple(q for q in self.questions if q in part)
        return tuple(dict.fromkeys(("traced", *questions))) if command == "trace" else questions

    def unknown_for(self, question: str) -> Unknown:
        """What to do where `question` has no answer."""
        words = dict(self.unknown)
        return words.get(question, words.get("default", Unknown.UNDECIDED))

    @property
    def meaning(self) -> dict[str, Any]:
        """Everything that can change a verdict, in plain types; the digest is taken over this."""
        return {
            "signature": self.signature.value,
            "signers": sorted(self.signers),
            "roles": dict(self.roles),
            "threshold": self.threshold,
            "log": self.log.value,
            "trace": list(self.trace),
            "data": self.data.value,
            "fresh": self.fresh.value,
            "approval": self.approval.value,
            **self._later_words,
            **({"others": sorted(self.others)} if self.others else {}),
            **({"plugins": sorted(self.plugins)} if self.plugins else {}),
            **({"loaders": sorted(self.loaders)} if self.loaders else {}),
            **({"weights": True} if self.weights else {}),
            "findings": self.findings.value,
            "unknown": {question: word.value for question, word in self.unknown},
            "valid-until": self.valid_until.isoformat() if self.valid_until else None,
            "rules": [{"name": r.name, "when": r.when, "require": r.require} for r in self.rules],
            "suppressions": sorted(_meaning(s) for s in self.suppressions),
        }

    @property
    def _later_words(self) -> dict[str, Any]:
        """Words that came after the first digests were taken stand in it only where they are used."""
        said: dict[str, Any] = {
            "steps": [_step_meaning(rule) for rule in self.steps],
            "in-toto": self.settings.evidence.layout is not None,
            "approvals": dict(self.approvals),
            "base": self.base.value if self.base is Need.REQUIRED else None,
            "recalls": self.recalls.value if self.recalls is Need.REQUIRED else None,
            "max-age": self.max_age if self.fresh is Need.REQUIRED else None,
        }
        return {word: value for word, value in said.items() if value}

    @property
    def digest(self) -> str:
        """`sha256:…` over the meaning as JSON with sorted keys (docs/policy.md, "The digest")."""
        canonical = json.dumps(self.meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return "sha256:" + hashlib.sha256(b"weighbridge.policy/v1\x00" + canonical.encode()).hexdigest()

    def override(self, source: str, **words: Any) -> "Policy":
        """The policy with some fields set by an option: `policy.override("--by", signers=("me",))`."""
        from weighbridge.policy.lines import line_order, toml

        lines = [line for line in self.lines if line.key.partition(".")[0] not in words]
        lines += [
            Line(table="policy", key=key, value=toml(value), source=source) for key, value in words.items()
        ]
        return replace(self, **words, lines=tuple(sorted(lines, key=line_order)))


def _step_meaning(rule: StepRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "signers": sorted(rule.signers),
        "role": rule.role,
        "threshold": rule.threshold,
        "types": sorted(rule.types),
        "after": None if rule.after is None else list(rule.after),
    }


def _meaning(entry: Suppression) -> list[str]:
    bound = [] if entry.where is None else [entry.where, entry.sha256 or ""]
    return [entry.rule, entry.path, entry.until.isoformat(), *bound]


def default_policy() -> Policy:
    """The preset `default` without reading it: its words are the defaults of `Policy` (a test holds them together).

    Most weighings have no policy file, and the TOML reader would be a twentieth of a small one's time. Its `lines` are
    empty: who wants to see them takes `load_preset`.
    """
    return Policy(name="default", sources=("preset default",))
