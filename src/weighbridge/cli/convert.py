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
    group = parser.add_argument_group("Copy")
    group.add_argument(
        "--to",
        metavar="FORMAT",
        choices=("safetensors", "gguf", "onnx"),
        default="safetensors",
        help="safetensors (default); gguf and onnx only where nothing is lost",
    )
    group.add_argument(
        "--out",
        metavar="PATH",
        help="file or folder to write; MODEL-safetensors or NAME.safetensors when left out",
    )
    group.add_argument("--force", action="store_true", help="replace what stands there")
    group.add_argument(
        "--shard-size", metavar="SIZE", type=shared.size, help="most bytes in one file, such as 5G; as the model has them when left out"
    )  # fmt: skip
    group.add_argument(
        "--drop", metavar="PATH", action="append", help="leave this file or folder of the model out"
    )
    group.add_argument(
        "--partial", action="store_true", help="write the other tensors where some cannot be converted"
    )
    group.add_argument(
        "--keep-optimizer",
        action="store_true",
        help="keep the tensors of optimizers, schedulers and of objects beside the state dict",
    )
    group.add_argument(
        "--keep-names",
        action="store_true",
        help='keep names as they are: do not strip a wrapper such as "state_dict."',
    )
    group.add_argument("--architecture", metavar="NAME", help="with --to gguf: general.architecture")
    group.add_argument(
        "--data",
        metavar="WHERE",
        choices=("embedded", "external"),
        help="with --to onnx: put the tensors into the graph's file (embedded) or beside it (external)",
    )
    _receipt_options(parser)
    shared.output(parser, ("human", "json"))
    shared.limits(parser)


def _receipt_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Receipt")
    group.add_argument(
        "--key",
        metavar="KEY",
        action="append",
        help="sign the receipt with this private key; with --against: the public key that must have signed it",
    )
    group.add_argument(
        "--password-file", metavar="FILE", help="the key's password; else WEIGHBRIDGE_PASSWORD or asked"
    )
    group.add_argument(
        "--receipt",
        metavar="FILE",
        help="where the receipt goes; with --key OUT.receipt.jsonl when left out; unsigned JSON without --key",
    )
    group.add_argument(
        "--against",
        metavar="COPY",
        help="write nothing: compare MODEL with this copy by the receipt, tensor by tensor",
    )
    parser.set_defaults(certificate=None, trust_config=None, identity_token=None)


def run(options: argparse.Namespace) -> int:
    """Convert, or compare again, and say what was found."""
    from weighbridge.cli.output import refuse_output

    refuse_output(options.output)
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
    from weighbridge.cli.measuring import progress_line
    from weighbridge.cli.output import write
    from weighbridge.convert import convert
    from weighbridge.core.wire import write_json
    from weighbridge.report import receipt as shown

    recipe = _recipe(options)
    signers = _signers(options)
    with progress_line(
        [options.model] * 3, options
    ) as progress:  # it is read, copied, and the copy read again
        done = convert(recipe, progress)
    left = _leave_receipt(done.receipt, done.place, signers, options)
    if options.format == "json":
        body = shown.document(done.receipt, place=done.place, receipt=left, seconds=round(done.seconds, 3))
        write(write_json(body, indent=2).decode(), options.output)
    else:
        text = shown.screen(done.receipt, done.place, done.seconds, verbose=bool(options.verbose))
        write(_with_receipt(text, left, signed=bool(signers), quiet=options.quiet), options.output)
    return 0


def _with_receipt(text: str, left: str | None, *, signed: bool, quiet: bool) -> str:
    from weighbridge.core.text import visible

    if quiet:
        return text.rsplit("\n", 1)[-1]
    if left is None:
        return text
    body, last = text.rsplit("\n", 1)
    return f"{body}\n  receipt  {visible(left)}, {'signed' if signed else 'not signed'}\n{last}"


def _signers(options: argparse.Namespace) -> list[Any]:
    """Opened before any work is done for them; the receipt's place is looked at too."""
    from weighbridge.cli.keys import open_signers
    from weighbridge.core.durable import refuse_no_folder

    if options.receipt:
        refuse_no_folder(Path(options.receipt))
    return list(open_signers(options)) if options.key else []


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
    from weighbridge.cli.output import write
    from weighbridge.convert import compare_again
    from weighbridge.core.errors import ExitCode, UsageError
    from weighbridge.core.wire import write_json
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
    text = (
        write_json(body, indent=2).decode() if options.format == "json" else shown.comparison(receipt, body)
    )
    write(text.rsplit("\n", 1)[-1] if options.quiet and options.format == "human" else text, options.output)
    return int(ExitCode.DONE if body["equal"] else ExitCode.REFUSED)


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
    return read_receipt(payloads.pop()), *_checked(bundles, options)


def _unsigned(options: argparse.Namespace) -> tuple[str, str]:
    return (
        ("fail", "nobody has signed the receipt")
        if options.key
        else ("unknown", "nobody has signed the receipt")
    )


def _checked(bundles: Any, options: argparse.Namespace) -> tuple[str, str]:
    """Whether one of the keys that were given has signed it."""
    from datetime import UTC, datetime

    from weighbridge.cli.keys import public_key
    from weighbridge.core.evidence import Outcome
    from weighbridge.sign.verify import check_signer

    if not options.key:
        return "unknown", "not checked: no --key was given"
    anchors = [public_key(path, Path(path).name) for path in options.key]
    checks = [check_signer(bundle, anchors, (), datetime.now(UTC)) for bundle in bundles]
    good = [check for check in checks if check.outcome is Outcome.PASS]
    return ("pass", f"by {good[0].by}") if good else ("fail", checks[0].why)
