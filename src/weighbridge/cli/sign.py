"""`weighbridge sign`: sign a model and leave the signature beside it."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from weighbridge.signing import Signed

EXAMPLES = (
    "weighbridge sign ./minilm --key release.key",
    "weighbridge sign ./minilm --key release.key --key release-pq.key",
    'weighbridge sign ./minilm --key "pkcs11:token=release;object=signing?module-path=/usr/lib/softhsm/libsofthsm2.so"',
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The model, the signers, and how to sign."""
    shared.model(parser)
    group = shared.signer(parser)
    group.add_argument("--timestamp", metavar="URL", help="ask this RFC 3161 authority to witness the time")
    group.add_argument(
        "--offline", action="store_true", help="refuse whatever needs the network: sigstore:, --timestamp"
    )
    group = parser.add_argument_group("Statement")
    group.add_argument("--hash", choices=("sha256", "blake3"), default="sha256", help="how files are hashed")
    group.add_argument(
        "--shard-size", metavar="SIZE", type=shared.size, help="hash in shards, such as 1G, on all cores"
    )
    group.add_argument("--allow-symlinks", action="store_true", help="sign what symbolic links point to")
    group.add_argument(
        "--ignore", metavar="PATH", action="append", help="leave a file or folder out (it is recorded)"
    )
    group.add_argument(
        "--nameless", action="store_true",
        help='write "." for a one-file model, which model-signing 1.1 wants where the specification wants the name',
    )  # fmt: skip
    group.add_argument("--signature", metavar="FILE", help="where the signature goes")
    group.add_argument(
        "--add", action="store_true", help="keep the signatures that are there, add these beside them"
    )
    group.add_argument("--jobs", metavar="N", type=shared.positive, help="threads that hash")
    shared.output(parser, shared.BOTH)


def run(options: argparse.Namespace) -> int:
    """Sign and say what was written."""
    from weighbridge.cli.keys import open_signers
    from weighbridge.cli.measuring import progress_line
    from weighbridge.signing import Wish, sign_model

    _refuse_network(options)
    signers = open_signers(options)
    wish = Wish(
        path=options.model,
        hash_type=options.hash,
        shard_size=options.shard_size,
        allow_symlinks=options.allow_symlinks,
        ignore_paths=tuple(options.ignore or ()),
        nameless=options.nameless,
        output=options.signature,
        add=options.add,
        jobs=options.jobs,
    )
    with progress_line([options.model], options) as progress:
        signed = sign_model(wish, signers, timestamp=_witness(options.timestamp), progress=progress)
    _say(options, signed, [signer.describe for signer in signers])
    return 0


def _refuse_network(options: argparse.Namespace) -> None:
    """Raises `UnavailableError` (`offline`) where `--offline` stands beside something that needs the network."""
    from weighbridge.core.errors import UnavailableError

    wanted = [f"--key {key}" for key in options.key if key.startswith("sigstore:")]
    wanted += [f"--timestamp {options.timestamp}"] if options.timestamp else []
    if options.offline and wanted:
        raise UnavailableError("offline", f'"{wanted[0]}" needs the network, and --offline forbids it')


def _witness(url: str | None) -> Callable[[bytes], bytes] | None:
    if url is None:
        return None
    from weighbridge.sign.timestamps import request_timestamp

    return lambda signature: request_timestamp(signature, url)


def _say(options: argparse.Namespace, signed: "Signed", how: list[str]) -> None:
    from weighbridge.cli.output import tell
    from weighbridge.core.text import counted, human_bytes, visible

    algorithm = options.hash
    digest = signed.manifest.files_digest(algorithm)
    body = {"files": str(digest), "written": list(signed.files), "signers": how}
    lines = [
        f"hashed  {counted(len(signed.manifest.entries), 'file')}, {human_bytes(signed.manifest.size)} in {signed.seconds:.1f} s",
        *(f"signed  {digest or 'in shards'} with {line}" for line in how),
        f"wrote   {', '.join(visible(path) for path in signed.files)}",
        f"verify  {visible(_how_to_verify(options))}",
    ]
    tell(options, body, lines, verdict=1)


def _how_to_verify(options: argparse.Namespace) -> str:
    """The command for the other side, ready to be pasted; with the public key where it lies beside the private one."""
    import shlex
    from pathlib import Path

    words = ["weighbridge", "verify", options.model]
    if options.certificate:
        words += ["--root", "ROOTS.pem"]
    else:
        public = [Path(key).with_suffix(".pub") for key in options.key if key.endswith(".key")]
        words += ["--key", str(public[0]) if public and public[0].is_file() else "PUBLIC.pem"]
    words += ["--signature", options.signature] if options.signature else []
    return shlex.join(words)
