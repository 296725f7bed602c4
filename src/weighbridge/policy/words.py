"""The words that a policy can be written in, as values: what may stand in `weighbridge.toml` once it was read.

Nothing is read or judged here.
"""

from datetime import date
from enum import StrEnum

from weighbridge.core.value import dataclass

QUESTIONS = (
    "signed", "intact", "safe", "read", "others", "logged", "traced", "based", "data", "approved", "current", "fresh",
    "policy",
)  # fmt: skip
"""Every built-in question, in the order of the screen; rules of the policy follow as `rule:NAME`."""

QUESTION_MEANINGS = {
    "signed": "enough of the people whom the policy names have signed it",
    "intact": "its contents equal what they signed",
    "safe": "nothing in it is known to run code or harm whoever loads it, and nothing is in doubt",
    "read": "every file was read to the end",
    "others": "the other scanners that the policy names have reported, and found no error",
    "logged": "the signature stands in a transparency log",
    "traced": "the steps that made it are stated, signed by those who may, and follow from each other",
    "based": "as an adapter, it is used with the very base that somebody trusted signed it for",
    "data": "its training data is named by digest, and described by somebody trusted",
    "approved": "enough people with the right roles, none of whom made it, approved it",
    "current": "neither it nor anything that it comes from was recalled",
    "fresh": "the list of recalls and the log are recent enough",
    "policy": "the policy itself is still valid",
}
"""What each question asks, in one line; `policy explain`, the reports and the docs use the same words."""


class Need(StrEnum):
    """Whether something must be there. What is there must hold in either case."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Findings(StrEnum):
    """Which findings the question `safe` lets pass."""

    NO_ERRORS = "no errors"
    NO_WARNINGS = "no warnings"
    ANY = "any"
    """Findings are shown and decide nothing: `safe` is not asked."""


class Unknown(StrEnum):
    """What the gate does where a question has no answer."""

    UNDECIDED = "undecided"
    REFUSE = "refuse"
    ADMIT = "admit"
    """Let it pass; it is still shown and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRule:
    """One `[[policy.step]]`: a step that the model's chain must have, and who may have signed it."""

    name: str
    """The step's name as its statement has it."""
    signers: tuple[str, ...] = ()
    """Names of the keyring that may sign it; () for everybody in it."""
    role: str = ""
    """The role that a signer must have; "" for any."""
    threshold: int = 1
    """How many different signers must state the same step."""
    types: tuple[str, ...] = ()
    """Kinds of statement that count (`training`, `provenance`, …); () for every kind that tells of a step."""
    after: tuple[str, ...] | None = None
    """Steps whose products must be among its materials; None for the step before it in the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """One `[[policy.rule]]`: a condition in CEL, for what the words cannot say."""

    name: str
    """Kebab-case; its question is `rule:NAME`."""
    message: str
    """One line: what it means when the rule is broken."""
    when: str = ""
    """Where this is true, the rule applies; with no `require`, it is then broken."""
    require: str = ""
    """Must be true where the rule applies."""

    @property
    def question(self) -> str:
        """The question that the rule answers."""
        return f"rule:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One `[[scan.suppress]]`: a finding that somebody accepted, with the reason and a date to look again."""

    rule: str
    path: str
    """A path in the model, or a pattern: `*` stands for any characters, `/` included."""
    reason: str
    until: date
    """The last day (UTC) on which it holds."""
    source: str = ""
    """The file it was written in."""
    where: str | None = None
    """From a baseline: the exact place in the file, and `path` is then no pattern; None for every place."""
    sha256: str | None = None
    """From a baseline: hex of the file that was looked at; another content brings the finding back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One effective line of a policy or configuration and where it came from (`policy explain`)."""

    table: str
    key: str
    value: str
    """As TOML."""
    source: str
    """`preset default`, a file's path, or the option that set it."""
