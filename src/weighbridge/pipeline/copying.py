"""Copies of contributions: plain files without any permission to be run, and the signatures that belong to them."""

import os
from pathlib import Path

from weighbridge.core.artifact import SIBLINGS_SUFFIX, SIGNATURE_NAME, Artifact
from weighbridge.core.durable import sync_folder
from weighbridge.pipeline.material import opened
from weighbridge.store import read_beside

BESIDE = (".sig", ".sig.jsonl", ".attestations.jsonl", ".tlog-proof")
"""What may lie beside a model and belongs to it."""
INSIDE = (SIGNATURE_NAME, SIGNATURE_NAME + SIBLINGS_SUFFIX, "attestations.jsonl")
"""What may lie in its folder and is no part of it."""
MAX_SIGNATURES = 64 * 1024**2
CHUNK = 8 * 1024**2


def copy(artifact: Artifact, source: Path, target: Path) -> None:
    """The members as plain files at `target`; links become what they point to. Raises `OSError`, `InputError`."""
    if artifact.single:
        _copy_members(artifact, target.parent, rename=target.name)
        return
    target.mkdir()
    _copy_members(artifact, target)
    for name in INSIDE:
        if not (target / name).exists():
            _copy_plain(source / name, target / name)


def copy_beside(source: Path, target: Path) -> None:
    """Signatures and statements that lie beside a model."""
    for suffix in BESIDE:
        place = target.with_name(target.name + suffix)
        if not place.exists():
            _copy_plain(source.with_name(source.name + suffix), place)


def copy_again(source: Path, target: Path) -> None:
    """A copy of what lies in quarantine."""
    copy(opened(source), source, target)


def _copy_members(artifact: Artifact, root: Path, rename: str = "") -> None:
    for member in artifact.members:
        place = root / (rename or member.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        source = artifact.files.open(member)
        with place.open("xb") as file:
            for offset in range(0, member.size, CHUNK):
                file.write(source.read(offset, min(CHUNK, member.size - offset)))
        place.chmod(0o644)


def _copy_plain(source: Path, target: Path) -> None:
    data = read_beside(source, MAX_SIGNATURES)
    if data is not None and len(data) <= MAX_SIGNATURES:
        target.write_bytes(data)
        target.chmod(0o644)


def sync_tree(folder: Path) -> None:
    """Let everything below outlive a power cut."""
    for here, _, names in os.walk(folder):
        for name in names:
            handle = os.open(Path(here) / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(here))
