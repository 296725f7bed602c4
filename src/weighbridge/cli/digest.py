"""`weighbridge digest`: the three names of a model, and the digests of its files."""

import argparse
from typing import TYPE_CHECKING, Any

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from weighbridge.cli.measuring import Measured

EXAMPLES = ("weighbridge digest ./minilm", "weighbridge digest ./minilm --blake3 --format json")


def configure(parser: argparse.ArgumentParser) -> None:
    """The model, and which hashes."""
    shared.model(parser)
    shared.output(parser, shared.BOTH)
    shared.limits(parser)
    group = parser.add_argument_group("Digests")
    group.add_argument("--blake3", action="store_true", help="also BLAKE3 of every file")
    group.add_argument(
        "--no-tensors", action="store_true", help="leave the digest over all tensors out: a little faster"
    )


def run(options: argparse.Namespace) -> int:
    """Measure and print; exit 3 where something could not be read. Tensors that nobody can list are told as unknown."""
    from weighbridge.cli.measuring import measured
    from weighbridge.cli.output import tell
    from weighbridge.core.errors import ExitCode

    hashes = frozenset({"sha256", "blake3"} if options.blake3 else {"sha256"})
    result = measured(options.model, options, hashes=hashes, tensors=not options.no_tensors)
    code = int(ExitCode.UNDECIDED if result.unread or not result.manifest.entries else ExitCode.DONE)
    return tell(options, as_document(result), as_lines(result, options), code=code)


def as_document(result: "Measured") -> dict[str, Any]:
    """The document of the machine contract."""
    manifest = result.manifest
    return {
        "files": _text(manifest.files_digest()),
        "tensors": _text(manifest.tensors_digest()),
        "card": _text(manifest.card_digest()),
        "members": [
            {"path": e.path, "size": e.size, "sha256": _hex(e.sha256), "blake3": _hex(e.blake3)}
            for e in manifest.entries
        ],
        "unread": [
            {"path": item.place.path, "code": item.code, "reason": item.message} for item in result.unread
        ],
        "unlisted": [{"path": path, "reason": why} for path, why in result.unlisted],
    }


def as_lines(result: "Measured", options: argparse.Namespace) -> list[str]:
    """The three digests; with -v every file."""
    from weighbridge.core.text import counted, human_bytes, visible

    manifest = result.manifest
    lines = [
        f"files    {_text(manifest.files_digest()) or 'unknown'}   {counted(len(manifest.entries), 'file')}, {human_bytes(manifest.size)}",
        f"tensors  {_text(manifest.tensors_digest()) or ('none' if manifest.tensors == () else 'unknown')}",
        f"card     {_text(manifest.card_digest()) or 'none'}",
    ]
    if not manifest.entries:
        lines.append("? there is no file to measure")
    if options.verbose:
        lines += [f"{_hex(e.sha256)}  {visible(e.path)}" for e in manifest.entries]
    lines += [
        f"? {visible(path)}: its tensors are unknown: {visible(why)}" for path, why in result.unlisted[:10]
    ]
    if len(result.unlisted) > 10:
        lines.append(f"? and the tensors of {len(result.unlisted) - 10} more files")
    return lines + [
        f"? {visible(item.place.path)}: {visible(item.message)}  [{item.code}]" for item in result.unread
    ]


def _text(digest: object) -> str | None:
    return str(digest) if digest is not None else None


def _hex(digest: bytes | None) -> str | None:
    return digest.hex() if digest is not None else None
