"""Convert: the receipt of `weighbridge convert`: what it took, wrote and left out, and how the equality was shown.

The shape is `core.receipt.Receipt`; what each field means stands in docs/formats/convert.md. Whether the receipt is
true is not asked here: `convert --against` derives the equality again from both sides.
"""

from collections.abc import Mapping
from typing import Any

from weighbridge.attest.step import Material, Relation, Step
from weighbridge.core.errors import InputError
from weighbridge.core.manifest import Digest
from weighbridge.core.receipt import CONVERT_PREDICATE, Receipt, Side
from weighbridge.core.statement import Named, Statement
from weighbridge.report.receipt import predicate as written
from weighbridge.sign import receipt as signed

TYPE = CONVERT_PREDICATE
Convert = Receipt
"""The type under the name of its module."""


def read(predicate: Mapping[str, Any], what: str) -> Receipt:
    """Strict. Raises `InputError` (`bad-receipt`, `bad-digest`)."""
    return signed.read_predicate(predicate)


def write(receipt: Receipt) -> dict[str, Any]:
    """`read(write(r)) == r`."""
    return written(receipt)


def step(statement: Statement, receipt: Receipt) -> Step:
    """`convert`. Raises `InputError` (`bad-receipt`) where the subject is not what the receipt says was written."""
    output = _named(receipt.output)
    if len(statement.subjects) != 1 or statement.subjects[0].files != output.files:
        raise InputError("bad-receipt", "the subject of the receipt is not what it says was written")
    return Step(
        name="convert",
        products=(output,),
        materials=(Material(what=_named(receipt.source), relation=Relation.CONVERTED_FROM),),
        builder=f"weighbridge {receipt.version}",
        finished=receipt.time,
    )


def _named(side: Side) -> Named:
    tensors = Digest.parse(side.tensors_digest) if side.tensors_digest else None
    return Named(name=side.name, files=Digest.parse(side.files_digest), tensors=tensors)


def say(receipt: Receipt) -> str:
    """In a few words."""
    equal = receipt.equality
    return f"to {receipt.target} from {receipt.source.name}, {equal.equal} of {equal.compared} tensors equal"
