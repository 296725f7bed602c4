"""A store of signed statements on plain files: by the statement's digest, and by what it is about.

    bodies/ab/<sha256 of the payload>.jsonl      every bundle over this statement, one a line
    subjects/<algorithm>/<hex>/<sha256>          empty: this statement has a subject with this digest

The body is written last and whole, and is what counts: a name under `subjects` without a body is nothing. So a writer that
is killed leaves either the statement or nothing, and whoever puts the same again completes it. Anybody's statements can
be put here; whom they count for is asked when they are read. Any file server can serve the folder.
"""

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weighbridge.core.artifact import MAX_BUNDLE
from weighbridge.core.durable import DISK, one_writer, sync_folder, write_file
from weighbridge.core.errors import BrokenError, InputError, LimitError, UsageError, WeighbridgeError
from weighbridge.core.pattern import late
from weighbridge.core.statement import Statement, read_statement
from weighbridge.core.text import visible
from weighbridge.core.wire import read_json, write_json
from weighbridge.store.beside import read_beside

MAX_SUBJECTS = 20_000
"""Digests that one statement may be found by."""
MAX_BUNDLES = 1_000
"""Bundles over one statement."""
MAX_BODY = 512 * 1024**2
"""Bytes of all bundles over one statement, and of all that are given for one digest."""
MAX_ABOUT = 10_000
"""Statements that are given for one digest."""
FEW = 8
"""New names that are synced one by one; more are synced with everything else that waits to be written."""
_NAME = late(r"[0-9a-f]{64}\Z")
_SUBJECT = late(r"([A-Za-z0-9][A-Za-z0-9_.+-]{0,63}):((?:[0-9a-f]{2}){16,64})\Z")


class StatementStore:
    """Statements in a folder, which need not be there before the first one is put."""

    def __init__(self, folder: Path) -> None:
        self._bodies = folder / "bodies"
        self._subjects = folder / "subjects"

    def put(self, bundle: bytes) -> str:
        """Keep a bundle, and return `sha256:…` of its statement. What is kept outlives a power cut.

        Raises `InputError` (`bad-bundle`, `bad-json`, `duplicate-key`, `bad-statement`), `LimitError`
        (`limit-json`, `limit-subjects`, `limit-bundles`), `UsageError` (`cannot-write`), `BrokenError` (`disk`, `busy`).
        """
        line, payload = _read(bundle)
        name = hashlib.sha256(payload).hexdigest()
        digests = _digests(read_statement(payload))
        try:
            self._mark(name, digests)
            self._write(name, line)
        except OSError as error:
            raise _refused(self._bodies.parent, error) from None
        return f"sha256:{name}"

    def get(self, statement: str) -> tuple[bytes, ...]:
        """Every bundle over the statement with this digest (`sha256:…`); () where there is none.

        Raises `InputError` (`store-damaged`) where something else lies under its name, and `LimitError`.
        """
        name = statement.removeprefix("sha256:")
        if not _NAME.match(name):
            raise UsageError("bad-digest", f'"{visible(statement, 80)}" is not the sha256 of a statement')
        lines = self._lines(name)
        if any(not _is_of(name, line) for line in lines):
            raise InputError(
                "store-damaged", f'what lies under "{name[:16]}…" in the store is another statement'
            )
        return lines

    def about(self, digest: str) -> tuple[bytes, ...]:
        """Every bundle over a statement with a subject that has this digest (`algorithm:hex`).

        As they lie there: whoever reads them looks at what they say. Raises `UsageError` (`bad-digest`) and `LimitError`.
        """
        match = _SUBJECT.match(digest)
        if match is None:
            raise UsageError("bad-digest", f'"{visible(digest, 80)}" is not algorithm:hex')
        found: list[bytes] = []
        size = 0
        for name in self._names(self._subjects / match[1] / match[2]):
            lines = self._lines(name)
            size += sum(map(len, lines))
            if size > MAX_BODY:
                raise LimitError(
                    "limit-statements", f"the statements about one digest have more than {MAX_BODY} bytes"
                )
            found += lines
        return tuple(found)

    def all(self) -> Iterator[str]:
        """The digest (`sha256:…`) of every statement, sorted."""
        for part in sorted(self._bodies.glob("[0-9a-f][0-9a-f]")):
            for path in sorted(part.glob("*.jsonl")):
                if _NAME.match(path.stem):
                    yield f"sha256:{path.stem}"

    def _names(self, folder: Path) -> list[str]:
        try:
            names = sorted(name for name in os.listdir(folder) if _NAME.match(name))  # noqa: PTH208 - a name is wanted
        except (FileNotFoundError, NotADirectoryError):
            return []
        if len(names) > MAX_ABOUT:
            raise LimitError(
                "limit-statements", f"the store holds more than {MAX_ABOUT} statements about one digest"
            )
        return names

    def _body(self, name: str) -> Path:
        return self._bodies / name[:2] / f"{name}.jsonl"

    def _lines(self, name: str) -> tuple[bytes, ...]:
        data = read_beside(self._body(name), MAX_BODY) or b""
        if len(data) > MAX_BODY:
            raise LimitError(
                "limit-bundles", f"the bundles over one statement have more than {MAX_BODY} bytes"
            )
        return tuple(line for line in data.split(b"\n") if line.strip())

    def _mark(self, name: str, digests: tuple[tuple[str, str], ...]) -> None:
        places = [self._subjects / algorithm / value for algorithm, value in digests]
        # What is there before the body is there may not have reached the disk: somebody was killed between the two.
        whole = self._body(name).exists()
        fresh = [place for place in places if not (whole and (place / name).exists())]
        for place in fresh:
            place.mkdir(parents=True, exist_ok=True)
            os.close(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        if len(fresh) > FEW:
            os.sync()  # one wait for all of them
            return
        for folder in dict.fromkeys(
            above for place in fresh for above in (place, place.parent, self._subjects)
        ):
            sync_folder(folder)

    def _write(self, name: str, line: bytes) -> None:
        path = self._body(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_writer(path.parent):
            there = self._lines(name)
            if line in there:
                return
            if len(there) >= MAX_BUNDLES or sum(map(len, there)) + len(line) > MAX_BODY - MAX_BUNDLES:
                raise LimitError(
                    "limit-bundles", "the store holds as many bundles over this statement as it may"
                )
            write_file(path, b"".join(one + b"\n" for one in (*there, line)))
        for folder in (self._bodies, self._bodies.parent, self._bodies.parent.parent):
            sync_folder(folder)


def _digests(statement: Statement) -> tuple[tuple[str, str], ...]:
    found = dict.fromkeys(digest for subject in statement.subjects for digest in subject.digests)
    if len(found) > MAX_SUBJECTS:
        raise LimitError(
            "limit-subjects", f"the statement has {len(found)} digests of subjects, limit {MAX_SUBJECTS}"
        )
    parted = (digest.partition(":") for digest in found)
    return tuple((algorithm, value) for algorithm, _, value in parted)


def _read(bundle: bytes) -> tuple[bytes, bytes]:
    """The bundle as one line, and the payload inside."""
    document = read_json(bundle, "the bundle", limit=MAX_BUNDLE)
    payload = _payload(document)
    line = bundle.strip()
    return (line if b"\n" not in line and b"\r" not in line else write_json(document)), payload


def _payload(document: Any) -> bytes:
    envelope = document.get("dsseEnvelope") if isinstance(document, dict) else None
    text = envelope.get("payload") if isinstance(envelope, dict) else None
    try:
        payload = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        payload = b""
    if not payload:
        raise InputError("bad-bundle", "the bundle holds no statement")
    return payload


def _is_of(name: str, line: bytes) -> bool:
    try:
        return hashlib.sha256(_read(line)[1]).hexdigest() == name
    except (InputError, LimitError):
        return False


def _refused(folder: Path, error: OSError) -> WeighbridgeError:
    message = f'cannot write in the store "{visible(str(folder))}": {(error.strerror or str(error)).lower()}'
    return BrokenError("disk", message) if error.errno in DISK else UsageError("cannot-write", message)
