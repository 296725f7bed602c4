"""Sweep: walk caches and folders, measure every model again, and put what was recalled out of reach.

A client with a cached snapshot asks nobody before it loads it, so a recall reaches it only where somebody looks on the disk.
Found are snapshots of the Hub's cache and folders that hold files with a model's suffix; each is weighed with one
question, `current`. What is recalled is moved, whole and at once, into the quarantine, with a record of where it was.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from weighbridge.core.durable import write_file
from weighbridge.core.errors import BrokenError, UsageError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.report import Report
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass

SUFFIXES = (
    ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".ggml", ".onnx", ".h5", ".hdf5", ".keras", ".pkl",
    ".pickle", ".joblib", ".npz", ".npy", ".tflite", ".pb", ".mlmodel", ".nemo", ".pte", ".pt2", ".pdparams", ".params",
    ".msgpack", ".llamafile", ".engine", ".model", ".ubj", ".cbm", ".rds",
)  # fmt: skip
"""Files that make a folder a model's. Whatever lies there with them is weighed too."""
MOST_FOLDERS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """One model that was found."""

    path: str
    outcome: Outcome
    """PASS: it stands. FAIL: it is recalled. UNKNOWN: nobody can say."""
    why: str
    code: str = ""
    digest: str = ""
    quarantined: str = ""
    """Where it was moved to."""


def find_models(places: Iterable[Path]) -> Iterator[Path]:
    """Every snapshot and every folder with weights below the places, each once. Raises `UsageError` (`no-such-path`)."""
    seen: set[tuple[int, int]] = set()
    for place in places:
        if not place.exists():
            raise UsageError("no-such-path", f'there is nothing at "{visible(str(place))}"')
        if place.is_file():
            yield place
            continue
        for folder, names, files in os.walk(place, followlinks=False):
            found = Path(folder).stat()
            at = (found.st_dev, found.st_ino)
            if at in seen:
                names.clear()
                continue
            seen.add(at)
            if len(seen) > MOST_FOLDERS:
                raise UsageError("limit-members", f"more than {MOST_FOLDERS} folders below the places")
            here = Path(folder)
            names[:] = sorted(name for name in names if name not in (".git", "blobs", ".locks"))
            if here.parent.name == "snapshots" and here.parent.parent.name.startswith("models--"):
                names.clear()
                yield here
            elif any(name.lower().endswith(SUFFIXES) for name in files):
                yield here


def sweep(
    places: Iterable[Path], weigh: Callable[[Path], Report], quarantine: Path | None = None
) -> Iterator[Swept]:
    """Weigh every model below the places; move what is recalled. What cannot be weighed or moved is UNKNOWN or told."""
    for path in find_models(places):
        if quarantine and path.resolve().is_relative_to(quarantine.resolve()):
            continue
        try:
            yield _judged(path, weigh(path), quarantine)
        except (UsageError, OSError) as error:
            why = error.message if isinstance(error, UsageError) else str(error.strerror)
            code = error.code if isinstance(error, UsageError) else "unreadable"
            yield Swept(path=str(path), outcome=Outcome.UNKNOWN, why=why, code=code)


def _judged(path: Path, report: Report, quarantine: Path | None) -> Swept:
    row = next((row for row in report.evidence if row.question == "current"), _NOTHING)
    if report.unread and row.outcome is Outcome.PASS:
        row = Evidence(
            question="current",
            outcome=Outcome.UNKNOWN,
            why="not every file could be read",
            code="not-measured",
        )
    digest = report.subject.files_digest or ""
    moved = ""
    if row.outcome is Outcome.FAIL and quarantine:
        moved = str(_move(path, quarantine, row, digest))
    return Swept(
        path=str(path), outcome=row.outcome, why=row.why, code=row.code, digest=digest, quarantined=moved
    )


_NOTHING = Evidence(
    question="current", outcome=Outcome.UNKNOWN, why="no list of recalls is at hand", code="no-recalls"
)


def _move(path: Path, quarantine: Path, row: Evidence, digest: str) -> Path:
    """The model into a folder of its own. In the Hub's cache its blobs go too, where no other snapshot needs them."""
    target = _free(quarantine / f"{path.name}-{digest.partition(':')[2][:12] or 'unread'}")
    target.mkdir(parents=True)
    blobs = _own_blobs(path)
    record = {
        "schema": "weighbridge.quarantine/v1", "from": str(path), "digest": digest, "why": row.why,
        "blobs": [str(blob) for blob in blobs], "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }  # fmt: skip
    write_file(target / "record.json", json.dumps(record, indent=2).encode() + b"\n")
    try:
        shutil.move(path, target / path.name)
        for blob in blobs:
            (target / "blobs").mkdir(exist_ok=True)
            shutil.move(blob, target / "blobs" / blob.name)
    except OSError as error:
        raise BrokenError(
            "cannot-write",
            f'cannot move "{visible(str(path))}" into quarantine: {(error.strerror or "").lower()}',
        ) from None
    return target


def _free(target: Path) -> Path:
    names = [target, *(target.with_name(f"{target.name}-{number}") for number in range(2, 1000))]
    return next(name for name in names if not os.path.lexists(name))


def _own_blobs(snapshot: Path) -> list[Path]:
    """Blobs that this snapshot alone links to; none for a folder that is no snapshot."""
    repository = snapshot.parent.parent
    if snapshot.parent.name != "snapshots" or not (repository / "blobs").is_dir():
        return []
    mine, others = _linked(snapshot), set[Path]()
    for other in snapshot.parent.iterdir():
        if other != snapshot:
            others |= _linked(other)
    blobs = (repository / "blobs").resolve()
    return sorted(blob for blob in mine - others if blob.parent == blobs)


def _linked(folder: Path) -> set[Path]:
    return {path.resolve() for path in folder.rglob("*") if path.is_symlink()}
