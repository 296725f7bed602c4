"""`weighbridge convert`: write a safe copy and prove that the tensors are equal."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from weighbridge.convert import Again, Recipe
    from weighbridge.core.receipt import Receipt

EXAMPLES = (
    "weighbridge convert ./chat-7b --to safetensors --key release.key",
    "weighbridge convert full.pth --to safetensors --out full.safetensors",
    "weighbridge convert ./chat-7b --against ./chat-7b-safetensors --receipt chat-7b-safetensors.receipt.jsonl",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The model, what to write, and the receipt."""
    shared.model(parser)
    shared.group(parser, "Copy", (
        shared.value("--to", "FORMAT", "safetensors (default); gguf and onnx only where nothing is lost",
                     choices=("safetensors", "gguf", "onnx"), default="safetensors"),
        shared.value("--out", "PATH", "file or folder to write; MODEL-safetensors or NAME.safetensors when left out"),
        shared.switch("--force", "replace what stands there"),
        shared.value("--shard-size", "SIZE",
                     "most bytes in one file, such as 5G; as the model has them when left out", type=shared.size),
        shared.many("--drop", "PATH", "leave this file or folder of the model out"),
        shared.switch("--partial", "write the other tensors where some cannot be converted"),
        shared.switch("--keep-optimizer",
                      "keep the tensors of optimizers, schedulers and of objects beside the state dict"),
        shared.switch("--keep-names", 'keep names as they are: do not strip a wrapper such as "state_dict."'),
        shared.value("--architecture", "NAME", "with --to gguf: general.architecture"),
        shared.value("--data", "WHERE",
                     "with --to onnx: put the tensors into the graph's file (embedded) or beside it (external)",
                     choices=("embedded", "external")),
    ))  # fmt: skip
    _receipt_options(parser)
    shared.output(parser, shared.BOTH)
    shared.limits(parser)


def _receipt_options(parser: argparse.ArgumentParser) -> None:
    key = "sign the receipt with this private key; with --against: the public key that must have signed it"
    shared.signer(parser, required=False, text=key)
    shared.group(parser, "Receipt", (
        shared.value("--receipt", "FILE",
                     "where the receipt goes; with --key OUT.receipt.jsonl when left out; unsigned JSON without --key"),
        shared.value("--against", "COPY",
                     "write nothing: compare MODEL with this copy by the receipt, tensor by tensor"),
    ))  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Convert, or compare again, and say what was found."""

    return _again(options) if options.against else _convert(options)


def _recipe(options: argparse.Namespace) -> "Recipe":
    from weighbridge.check import bundles_of
    from weighbridge.cli.request import chosen_limits
    from weighbridge.convert import Recipe, Target
    from weighbridge.core.budget import Limits
    from weighbridge.store import Links

    return Recipe(
        path=options.model,
        target=Target(options.to),
        out=options.out,
        force=options.force,
        shard_size=options.shard_size,
        drop=tuple(options.drop or ()),
        keep_optimizer=options.keep_optimizer,
        keep_names=options.keep_names,
        partial=options.partial,
        architecture=options.architecture or "",
        external={"external": True, "embedded": False}.get(options.data),
        exclude=bundles_of(Path(options.model))[1],
        links=Links(options.links),
        limits=chosen_limits(options, Limits()),
        jobs=options.jobs,
    )


# -- convert


def _convert(options: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from weighbridge.cli.measuring import progress_line
    from weighbridge.cli.output import tell
    from weighbridge.convert import convert
    from weighbridge.core.text import visible
    from weighbridge.report import receipt as shown

    recipe = _recipe(options)
    signers = _signers(options)
    with progress_line(
        [options.model] * 3, options
    ) as progress:  # it is read, copied, and the copy read again
        done = convert(recipe, progress, now=datetime.now(UTC))
    left = _leave_receipt(done.receipt, done.place, signers, options)
    body = shown.document(done.receipt, place=done.place, receipt=left, seconds=round(done.seconds, 3))
    text = shown.screen(done.receipt, done.place, done.seconds, verbose=bool(options.verbose))
    lines = text.split("\n")
    if left is not None:
        lines.insert(-1, f"  receipt  {visible(left)}, {'signed' if signers else 'not signed'}")
    return tell(options, body, lines, verdict=-1)


def _signers(options: argparse.Namespace) -> list[Any]:
    """Opened before any work is done for them; the receipt's place is looked at too."""
    from weighbridge.cli.keys import open_signers
    from weighbridge.core.durable import refuse_no_folder

    if options.receipt:
        refuse_no_folder(Path(options.receipt))
    return list(open_signers(options))


def _leave_receipt(
    receipt: "Receipt", place: str, signers: list[Any], options: argparse.Namespace
) -> str | None:
    """Write the receipt where asked; returns its path."""
    from weighbridge.core.durable import write_file
    from weighbridge.core.wire import write_json
    from weighbridge.report.receipt import receipt_statement
    from weighbridge.signing import attest

    if not signers and not options.receipt:
        return None
    target = Path(options.receipt or f"{place.rstrip('/')}.receipt.jsonl")
    if signers:
        attest(write_json(receipt_statement(receipt)), signers, target)
    else:
        write_file(target, write_json(receipt_statement(receipt), indent=2) + b"\n")
    return str(target)


# -- compare again


def _again(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from weighbridge.check import bundles_of
    from weighbridge.cli.measuring import progress_line
    from weighbridge.cli.output import tell
    from weighbridge.convert import compare_again
    from weighbridge.core.errors import ExitCode, UsageError
    from weighbridge.report import receipt as shown

    if not options.receipt:
        raise UsageError(
            "receipt-needed", "--against compares by a receipt, and none was given", "--receipt FILE", "weighbridge diff OLD NEW"
        )  # fmt: skip
    receipt, signed, why = _read(options)
    recipe = _recipe(options)
    recipe = replace(recipe, exclude=recipe.exclude | bundles_of(Path(options.against))[1])
    with progress_line([options.model, options.model, options.against], options) as progress:
        found = compare_again(recipe, options.against, receipt, progress)
    body = _compared(found, signed, why)
    code = int(ExitCode.DONE if body["equal"] else ExitCode.REFUSED)
    return tell(options, body, shown.comparison(receipt, body).split("\n"), code=code, verdict=-1)


def _compared(found: "Again", signed: str, why: str) -> dict[str, Any]:
    from weighbridge.report.receipt import SCHEMA, equality

    return {
        "schema": SCHEMA,
        "command": "convert",
        "equal": found.holds and signed != "fail",
        "source_as_stated": found.same_source,
        "output_as_stated": found.same_output,
        "equality": equality(found.equality),
        "copies_differ": list(found.copies_differ),
        "signed": signed,
        "signed_why": why,
    }


def _read(options: argparse.Namespace) -> "tuple[Receipt, str, str]":
    """The receipt; `pass`, `fail` or `unknown` for its signature; and why. Raises `UsageError`, `InputError`."""
    from datetime import UTC, datetime

    from weighbridge.cli.keys import signed_by_given
    from weighbridge.core.artifact import MAX_BUNDLE, SIBLINGS_SUFFIX
    from weighbridge.core.errors import UsageError
    from weighbridge.sign.bundle import read_bundles
    from weighbridge.sign.receipt import is_receipt, read_receipt
    from weighbridge.store import read_beside

    data = read_beside(Path(options.receipt), MAX_BUNDLE)
    if data is None:
        raise UsageError("no-such-path", f'there is no receipt at "{options.receipt}"')
    if is_receipt(data):
        return read_receipt(data), *_unsigned(options)
    bundles = read_bundles(data, f"receipt{SIBLINGS_SUFFIX}")
    payloads = {bundle.envelope.payload for bundle in bundles if is_receipt(bundle.envelope.payload)}
    if len(payloads) != 1:
        raise UsageError("bad-receipt", f'"{options.receipt}" holds no receipt of a conversion')
    return read_receipt(payloads.pop()), *signed_by_given(bundles, options, datetime.now(UTC))


def _unsigned(options: argparse.Namespace) -> tuple[str, str]:
    return "fail" if options.key else "unknown", "nobody has signed the receipt"
