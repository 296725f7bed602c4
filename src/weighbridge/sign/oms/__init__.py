"""OMS statements: the sentence "these files have these digests", written per spec v1.0 and read as tools wrote it.

Spec: github.com/ossf/model-signing-spec, v1.0. docs/formats/oms.md says what we emit, what else we accept, and why.

`parse_statement` accepts whatever model-signing 0.2 to 1.1 has signed where it has one safe meaning, and refuses the
rest with a code of its own. `compare` says what differs between a statement and a measured manifest, `uncovered` what
the statement leaves out on purpose. Neither knows who signed. The root digest does not bind names, so it is checked
and never used as an identity.
"""

from weighbridge.sign.oms.comparing import compare, covered, expected, part, resolve, uncovered, unmeasured
from weighbridge.sign.oms.content import (
    DIGESTS,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    TENSORS,
    OmsStatement,
    Resource,
    SignedTensor,
    root_digest,
)
from weighbridge.sign.oms.paths import HARMLESS, default_ignores, ignorer, left_out
from weighbridge.sign.oms.reading import NOT_UNDERSTOOD, parse_statement
from weighbridge.sign.oms.writing import MAX_TENSORS, statement

__all__ = [
    "DIGESTS",
    "HARMLESS",
    "MAX_TENSORS",
    "NOT_UNDERSTOOD",
    "PREDICATE_TYPE",
    "STATEMENT_TYPE",
    "TENSORS",
    "OmsStatement",
    "Resource",
    "SignedTensor",
    "compare",
    "covered",
    "default_ignores",
    "expected",
    "ignorer",
    "left_out",
    "parse_statement",
    "part",
    "resolve",
    "root_digest",
    "statement",
    "uncovered",
    "unmeasured",
]
