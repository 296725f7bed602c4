"""A conversion's receipt: as an in-toto statement (predicate `weighbridge.convert/v1`), as JSON, and for people. Pure.

The statement's subject is what was written, by its file-set digest alone: for the reason, see `report.attest`. Names come
from a model and are hostile; they stand in JSON as they are and on the screen made visible.
"""

from typing import Any

from weighbridge.core.errors import ExitCode
from weighbridge.core.receipt import CONVERT_PREDICATE, Dropped, Equality, Kind, Receipt, Side
from weighbridge.core.report import FILES_ALGORITHM
from weighbridge.core.text import counted, human_bytes, some, visible
from weighbridge.report.attest import STATEMENT
from weighbridge.report.summary import short_digest

SCHEMA = "weighbridge.convert/v1"
MOST = 10
"""Lines of one kind on the screen; the rest is counted, and JSON has it."""


def receipt_statement(receipt: Receipt) -> dict[str, Any]:
    """The statement about one conversion. Unsigned."""
    algorithm, _, value = receipt.output.files_digest.partition(":")
    return {
        "_type": STATEMENT,
        "subject": [{"name": receipt.output.name, "digest": {f"{FILES_ALGORITHM}{algorithm}": value}}],
        "predicateType": CONVERT_PREDICATE,
        "predicate": predicate(receipt),
    }


def predicate(receipt: Receipt) -> dict[str, Any]:
    """Everything that the receipt says, as plain values."""
    return {
        "target": receipt.target,
        "source": _side(receipt.source),
        "output": _side(receipt.output),
        "outputs": [
            {"path": one.path, "size": one.size, "sha256": one.sha256, "copyOf": one.origin or None}
            for one in receipt.outputs
        ],
        "converted": [{"from": old, "to": new} for old, new in receipt.converted],
        "equality": equality(receipt.equality)
        | {"sameTensorSet": _same(receipt.source.tensors_digest, receipt.output.tensors_digest)},
        "renamed": [
            {"path": rule.path, "from": rule.old, "to": rule.new, "prefix": rule.prefix}
            for rule in receipt.renamed
        ],
        "dropped": [
            {
                "kind": gone.kind.value,
                "path": gone.path,
                "name": gone.name,
                "why": gone.why,
                "count": gone.count,
            }
            for gone in receipt.dropped
        ],
        "tied": [list(group) for group in receipt.tied],
        "dangerous": receipt.dangerous,
        "findings": [seen._asdict() for seen in receipt.findings],
        "findingsMore": receipt.findings_more,
        "tool": {"name": "weighbridge", "version": receipt.version},
        "timeConverted": receipt.time,
    }


def _same(one: str | None, other: str | None) -> bool | None:
    return one == other if one and other else None


def equality(found: Equality) -> dict[str, Any]:
    """The comparison, as plain values."""
    return {
        "algorithm": "blake3",
        "compared": found.compared,
        "equal": found.equal,
        "different": list(found.different),
        "missing": list(found.missing),
        "extra": list(found.extra),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "files": side.files,
        "bytes": side.bytes,
        "digests": {"files": side.files_digest, "tensors": side.tensors_digest},
    }


def document(receipt: Receipt, /, **more: Any) -> dict[str, Any]:
    """What `convert --format json` prints: the predicate, and what only this run knows."""
    return {"schema": SCHEMA, "command": "convert", **predicate(receipt), **more}


def screen(receipt: Receipt, place: str, seconds: float, *, verbose: bool = False) -> str:
    """What `convert` prints for people."""
    lines = [
        f"CONVERTED  {visible(receipt.source.name)}  {short_digest(receipt.source.files_digest)}   to {receipt.target}",
        f"  wrote    {visible(place)}  {counted(receipt.output.files, 'file')}, {human_bytes(receipt.output.bytes)}",
        f"  equal    {receipt.equality.equal} of {counted(receipt.equality.compared, 'tensor')}, read again and compared",
        f"  tensors  {_tensor_set(receipt)}",
    ]
    if receipt.dangerous:
        lines.append(
            "  ✗ source  loading it can run code or do other harm; nothing of that was run or copied"
        )
    lines += _findings(receipt, verbose)
    lines += [_renamed(rule.old, rule.new, rule.path, prefix=rule.prefix) for rule in receipt.renamed[:MOST]]
    lines += _more(len(receipt.renamed) - MOST, "rename")
    gone = receipt.dropped if verbose else receipt.dropped[:MOST]
    lines += [f"  dropped  {told(one)}: {visible(one.why, 200)}" for one in gone]
    lines += _more(len(receipt.dropped) - len(gone), "dropped thing")
    lines += [
        f"  tied     {some(group, 4)}: one storage, written for each name" for group in receipt.tied[:3]
    ]
    lines += _more(len(receipt.tied) - 3, "tied group")
    copied = sum(1 for one in receipt.outputs if one.origin)
    kept = f", {counted(copied, 'file')} copied" if copied else ""
    count = counted(receipt.equality.equal, "tensor")
    lines.append(f"CONVERTED: {count} equal{kept}, {len(receipt.dropped)} dropped, {seconds:.1f} s")
    return "\n".join(lines)


def _tensor_set(receipt: Receipt) -> str:
    before, after = receipt.source.tensors_digest, receipt.output.tensors_digest
    if before and before == after:
        return f"{short_digest(before)}, the same set as before"
    if before is None:
        return "the source's set has no digest: not all of its tensors are known"
    return f"{short_digest(after) or 'no digest'}, another set than the source's {short_digest(before)} (see below)"


def _findings(receipt: Receipt, verbose: bool) -> list[str]:
    errors = [seen for seen in receipt.findings if verbose or seen.severity == "error"]
    lines = []
    for seen in errors[: None if verbose else MOST]:
        where = " › ".join(part for part in (visible(seen.path), visible(seen.where)) if part)
        lines += [
            f"  {visible(seen.severity)}[{visible(seen.rule)}]: {visible(seen.message, 300)}",
            f"    {where}",
        ]
    others = len(receipt.findings) + receipt.findings_more - len(errors)
    return lines + ([f"  note     {counted(others, 'other finding')} in the source"] if others else [])


def _renamed(old: str, new: str, path: str, *, prefix: bool) -> str:
    shown = (f"{visible(old)}*", f"{visible(new)}*") if prefix else (f'"{visible(old)}"', f'"{visible(new)}"')
    return f"  renamed  {shown[0]} to {shown[1]} in {visible(path)}   (--keep-names keeps them)"


def _more(count: int, noun: str) -> list[str]:
    return [f"  …        {counted(count, noun)} more, see --format json"] if count > 0 else []


def told(gone: Dropped) -> str:
    """What is left out, in a few words."""
    if gone.kind is Kind.FILE:
        return visible(gone.path)
    star = "*" if gone.kind is Kind.TENSORS else ""
    name = f"{visible(gone.name, 120)}{star}" or visible(gone.path)
    return (
        f"{name} ({counted(gone.count, 'tensor')})"
        if star
        else name + (f" ({gone.count})" if gone.count > 1 else "")
    )


def comparison(receipt: Receipt, found: dict[str, Any]) -> str:
    """What `convert --against` prints for people; `found` is the document of the comparison."""
    result = found["equality"]
    sides = [
        ("source", found["source_as_stated"], receipt.source.files_digest),
        ("output", found["output_as_stated"], receipt.output.files_digest),
    ]
    lines = [
        f"{'EQUAL' if found['equal'] else 'NOT EQUAL'}  {result['equal']} of {result['compared']} tensors"
    ]
    for word, same, digest in sides:
        mark = "✓" if same else "✗"
        lines.append(
            f"  {mark} {word}  {'is' if same else 'is not'} the {visible(short_digest(digest))} of the receipt"
        )
    for word in ("different", "missing", "extra"):
        lines += [f"  ✗ {word}  {some(result[word], 6)}"] if result[word] else []
    lines += [f"  ✗ copies  {some(found['copies_differ'], 6)}"] if found["copies_differ"] else []
    lines.append(
        f"  {'✓' if found['signed'] == 'pass' else '✗' if found['signed'] == 'fail' else '?'} signed  {visible(found['signed_why'])}"
    )
    lines.append(
        f"{'EQUAL' if found['equal'] else 'NOT EQUAL'}: exit {int(ExitCode.DONE if found['equal'] else ExitCode.REFUSED)}"
    )
    return "\n".join(lines)
