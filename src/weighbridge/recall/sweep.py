"""Sweep: walk caches and folders, measure every model again, and put what was recalled out of reach.

A client with a cached snapshot asks nobody before it loads it, so a recall reaches it only where somebody looks on the disk.
Found are snapshots of the Hub's cache and folders that hold files with a model's suffix; each is weighed with one
question, `current`. What is recalled is moved, whole and at once, into the quarantine, with a record of where it was.
"""

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from weighbridge.core.durable import write_file
from weighbridge.core.errors import BrokenError, UsageError, WeighbridgeError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.moment import write_moment
from weighbridge.core.report import Report
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass, replace

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
    unread: list[Path] = []
    for place in places:
        if not place.exists():
            raise UsageError("no-such-path", f'there is nothing at "{visible(str(place))}"')
        if place.is_file():
            yield place
            continue
        for here, names, files in _folders(place, seen, unread):
            names[:] = _worth_a_look(here, names)
            if _is_snapshot(here):
                names.clear()
                yield here
            elif any(name.lower().endswith(SUFFIXES) for name in files):
                yield here
    # A folder that cannot be looked into may hold anything; what has just been moved away is not one.
    yield from (folder for folder in unread if os.path.lexists(folder))


def _folders(
    place: Path, seen: set[tuple[int, int]], unread: list[Path]
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Every folder below a place with its folders and files, each once; what cannot be looked into is added to `unread`."""
    for folder, names, files in os.walk(place, onerror=lambda error: unread.append(Path(error.filename))):
        here = Path(folder)
        try:
            found = here.stat()
        except OSError:
            unread.append(here)
            continue
        if (found.st_dev, found.st_ino) in seen:
            names.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        if len(seen) > MOST_FOLDERS:
            raise UsageError("limit-members", f"more than {MOST_FOLDERS} folders below the places")
        yield here, names, files


def _worth_a_look(here: Path, names: Iterable[str]) -> list[str]:
    """The folders in a folder, without those that hold no models: of git, and the Hub's store of contents by digest."""
    hub = here.name.startswith(("models--", "datasets--"))
    skipped = (".git", "blobs", ".locks") if hub else (".git",)
    return sorted(name for name in names if name not in skipped)


def _is_snapshot(here: Path) -> bool:
    return here.parent.name == "snapshots" and here.parent.parent.name.startswith("models--")


def sweep(
    places: Iterable[Path], weigh: Callable[[Path], Report], quarantine: Path | None = None, *, now: datetime
) -> Iterator[Swept]:
    """Weigh every model below the places; move what is recalled. What cannot be weighed or moved is UNKNOWN or told.

    `now` is what the records of what was moved say. Raises `UsageError` (`no-such-path`, `limit-members`).
    """
    for path in find_models(places):
        if quarantine and path.resolve().is_relative_to(quarantine.resolve()):
            continue
        try:
            swept = _judged(path, weigh(path))
        except (WeighbridgeError, OSError) as error:
            yield Swept(
                path=str(path), outcome=Outcome.UNKNOWN, why=_why(error), code=_code(error, "unreadable")
            )
            continue
        yield _moved(swept, path, quarantine, now) if quarantine and swept.outcome is Outcome.FAIL else swept


def _moved(swept: Swept, path: Path, quarantine: Path, now: datetime) -> Swept:
    """What is recalled stays recalled, also where it cannot be moved; and the others are still looked at."""
    try:
        return replace(swept, quarantined=str(_move(path, quarantine, swept, now)))
    except (WeighbridgeError, OSError) as error:
        return replace(swept, why=f"{swept.why}; not moved: {_why(error)}", code=_code(error, "cannot-write"))


def _why(error: Exception) -> str:
    return (
        error.message
        if isinstance(error, WeighbridgeError)
        else (getattr(error, "strerror", None) or str(error)).lower()
    )


def _code(error: Exception, code: str) -> str:
    return error.code if isinstance(error, WeighbridgeError) else code


def _judged(path: Path, report: Report) -> Swept:
    row = next((row for row in report.evidence if row.question == "current"), _NOTHING)
    if report.unread and row.outcome is Outcome.PASS:
        row = Evidence(
            question="current",
            outcome=Outcome.UNKNOWN,
            why="not every file could be read",
            code="not-measured",
        )
    digest = report.subject.files_digest or ""
    return Swept(path=str(path), outcome=row.outcome, why=row.why, code=row.code, digest=digest)


_NOTHING = Evidence(
    question="current", outcome=Outcome.UNKNOWN, why="no list of recalls is at hand", code="no-recalls"
)


def _move(path: Path, quarantine: Path, swept: Swept, now: datetime) -> Path:
    """The model into a folder of its own. In the Hub's cache its blobs go too, where no other snapshot needs them.

    Raises `UsageError` (`cannot-write`) for a quarantine that lies in the model, `BrokenError` and `OSError`.
    """
    path = path.resolve()  # a link alone would leave the bytes where they are
    if quarantine.resolve().is_relative_to(path):
        raise UsageError("cannot-write", "the quarantine lies inside of it")
    digest = swept.digest
    target = _free(quarantine / f"{path.name}-{digest.partition(':')[2][:12] or 'unread'}")
    target.mkdir(parents=True)
    blobs = _own_blobs(path)
    record = {
        "schema": "weighbridge.quarantine/v1", "from": str(path), "digest": digest, "why": swept.why,
        "blobs": [str(blob) for blob in blobs], "time": write_moment(now),
    }  # fmt: skip
    write_file(target / "record.json", json.dumps(record, indent=2).encode() + b"\n")
    try:
        _take(path, blobs, target)
    except OSError as error:
        raise BrokenError(
            "cannot-write",
            f'cannot move "{visible(str(path))}" into quarantine: {(error.strerror or str(error)).lower()}',
        ) from None
    return target


def _take(path: Path, blobs: Iterable[Path], target: Path) -> None:
    shutil.move(path, target / path.name)
    for blob in blobs:
        (target / "blobs").mkdir(exist_ok=True)
        shutil.move(blob, target / "blobs" / blob.name)


def _free(target: Path) -> Path:
    names = (target.with_name(f"{target.name}-{number}") for number in itertools.count(2))
    return next(name for name in itertools.chain((target,), names) if not os.path.lexists(name))


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
