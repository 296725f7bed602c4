"""Where signatures lie: `MODEL/model.sig`, `FILE.sig` beside one file, several in the `.jsonl` of the same name.

A signature is no part of the model that it signs; a file that only has its name is weighed like any other.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.core.artifact import MAX_BUNDLE, SIBLINGS_SUFFIX, SIGNATURE_NAME, Artifact
from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.core.report import SignatureResult
from weighbridge.core.value import replace
from weighbridge.evidence.find import statement_file_inside
from weighbridge.store import read_beside

if TYPE_CHECKING:
    from weighbridge.core.statement import Named
    from weighbridge.sign.bundle import Bundle


def signature_path(model: Path) -> Path:
    """Where `sign` leaves a signature and `verify` looks first: `MODEL/model.sig`, or `FILE.sig` for one file."""
    return model / SIGNATURE_NAME if model.is_dir() else model.with_name(model.name + ".sig")


def usual_places(root: Path) -> list[Path]:
    """Where a signature is looked for, whether anything lies there or not."""
    first = signature_path(root)
    beside = root.with_name(root.name + ".sig") if root.name else first
    places = dict.fromkeys([first, beside])
    return [place for path in places for place in (path, path.with_name(path.name + SIBLINGS_SUFFIX))]


def bundles_of(root: Path, named: Sequence[str] = ()) -> tuple[tuple["Bundle", ...], frozenset[str]]:
    """Bundles in the usual places and in the `named` files; and the files among them that lie inside the model.

    A file in which one line is no bundle is weighed like any other file: a signature's name is no place to hide.
    """
    places = [
        *(path for path in usual_places(root) if os.path.lexists(path)),
        *(Path(name) for name in named),
    ]
    inside = set(statement_file_inside(root))
    if not places:
        return (), frozenset(inside)
    from weighbridge.sign.bundle import distinct

    bundles: list[Bundle] = []
    for path in places:
        found = _bundles_at(path, needed=str(path) in named)
        bundles += found
        relative = _inside(path, root)
        if relative and _holds_nothing_else(found):
            inside.add(relative)
    return distinct(bundles), frozenset(inside)


def _holds_nothing_else(bundles: Sequence["Bundle"]) -> bool:
    """Whether every line of a file of signatures is a bundle that can be read."""
    return bool(bundles) and not any(bundle.code for bundle in bundles)


def _bundles_at(path: Path, *, needed: bool) -> tuple["Bundle", ...]:
    from weighbridge.sign.bundle import read_bundles

    data = read_beside(path, MAX_BUNDLE)
    if data is None and needed:
        raise UsageError("no-such-path", f'there is no signature at "{path}"')
    return read_bundles(data, path.name) if data is not None else ()


def _inside(path: Path, root: Path) -> str | None:
    """The path relative to the model, by where it really lies; None outside of it."""
    if not root.is_dir():
        return None
    try:
        return (path.parent.resolve() / path.name).relative_to(root.resolve()).as_posix()
    except (OSError, ValueError):
        return None


def remote_bundles(artifact: Artifact, named: Sequence["Bundle"]) -> tuple[Artifact, tuple["Bundle", ...]]:
    """The artifact without its signatures, and these with those that were named."""
    from weighbridge.sign.bundle import distinct, read_bundles

    found = [*named]
    names = {f"{SIGNATURE_NAME}{suffix}" for suffix in ("", SIBLINGS_SUFFIX)}
    held: set[str] = set()
    for member in artifact.members:
        if member.path in names and member.size <= MAX_BUNDLE:
            bundles = read_bundles(artifact.files.open(member).read(0, member.size), member.path)
            found += bundles
            if _holds_nothing_else(bundles):
                held.add(member.path)
    return replace(artifact, members=tuple(m for m in artifact.members if m.path not in held)), distinct(
        found
    )


def good_statements(bundles: Sequence["Bundle"], signatures: Sequence[SignatureResult]) -> tuple[str, ...]:
    """`sha256:…` of what the signatures that hold are over: how a log names them."""
    pairs = zip(bundles, signatures, strict=True)
    good = [bundle.envelope.payload for bundle, result in pairs if result.outcome is Outcome.PASS]
    return tuple(dict.fromkeys(f"sha256:{hashlib.sha256(payload).hexdigest()}" for payload in good))


def signed_as(bundles: Sequence["Bundle"], signatures: Sequence[SignatureResult]) -> Iterator["Named"]:
    """The whole model by the digests that its good signatures recorded: a part of what was recalled is recalled too."""
    from weighbridge.core.errors import InputError, LimitError
    from weighbridge.core.manifest import Digest
    from weighbridge.core.statement import Named
    from weighbridge.sign import oms

    pairs = zip(bundles, signatures, strict=True)
    for bundle in (bundle for bundle, result in pairs if result.outcome is Outcome.PASS):
        try:
            said = dict(oms.parse_statement(bundle.envelope.payload).digests)
            files, tensors = (
                Digest.parse(said[key]) if key in said else None for key in ("files", "tensors")
            )
        except (InputError, LimitError):
            continue  # a gate's verdict, which is never over a part
        if files or tensors:
            yield Named(files=files, tensors=tensors)
