"""What must be hashed, and with what, so that the signatures beside a model can be judged: no more than was signed."""

from collections.abc import Sequence

from weighbridge.core.errors import InputError, LimitError
from weighbridge.measure import Plan
from weighbridge.policy import Policy
from weighbridge.sign import oms
from weighbridge.sign.bundle import Bundle
from weighbridge.sign.gate import is_verdict
from weighbridge.sign.verify import wanted_plan

UNSIGNED = "blake3"
"""What names the bytes of a model that nobody signed, where the policy lets it pass."""


def statement_of(bundle: Bundle) -> oms.OmsStatement | None:
    """What a bundle says about files, whoever signed it; None where it cannot be read."""
    try:
        return None if bundle.code else oms.parse_statement(bundle.envelope.payload)
    except (InputError, LimitError):
        return None


STATED = frozenset({"traced", "based", "data", "approved", "current"})
"""Questions that statements answer, which know a model by the SHA-256 of its files."""


def plan_for(policy: Policy, bundles: Sequence[Bundle]) -> Plan:
    """The hashes that the statements use. Files that are only signed in shards are not hashed whole besides.

    SHA-256 comes on top where the policy knows files by it: accepted findings, gates' verdicts, statements.
    """
    wanted = wanted_plan(bundles)
    statements = [one for one in map(statement_of, bundles) if one is not None]
    whole = {one.hash_type for one in statements if not one.shard_size} & {"sha256", "blake3"}
    verdicts = any(is_verdict(bundle.envelope.payload) for bundle in bundles if not bundle.code)
    if verdicts or any(one.sha256 for one in policy.suppressions) or STATED & set(policy.questions):
        whole.add("sha256")
    if not whole and not wanted.shards and not wanted.blake2b:
        whole.add(UNSIGNED)
    return Plan(hashes=frozenset(whole), shards=wanted.shards, blake2b=wanted.blake2b)
