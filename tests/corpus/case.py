"""Case: one small model of the corpus, with the outcome that somebody who knows its bytes would give it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

ECHO = "echo weighbridge"
"""The one command that payloads name. Nothing in these tests ever runs one."""


class Expect(StrEnum):
    """What the scanner should say of the worst file of a case."""

    FAIL = "fail"
    """Loading it does harm that can be named."""
    UNKNOWN = "unknown"
    """Nobody can tell from the file: code that only its author knows, or bytes that cannot be read."""
    PASS = "pass"
    """Benign, however odd it looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One model: its files and what to expect."""

    name: str
    family: str
    """The format that the attack uses; numbers are reported for each."""
    files: Mapping[str, bytes]
    expect: Expect


Cases = Iterator[Case]


def fail(family: str, name: str, path: str, data: bytes) -> Case:
    """A malicious file."""
    return Case(name=f"{family}/{name}", family=family, files={path: data}, expect=Expect.FAIL)


def unknown(family: str, name: str, path: str, data: bytes) -> Case:
    """A file that cannot be judged."""
    return Case(name=f"{family}/{name}", family=family, files={path: data}, expect=Expect.UNKNOWN)


def benign(family: str, name: str, path: str, data: bytes) -> Case:
    """A harmless file."""
    return Case(name=f"{family}/{name}", family=family, files={path: data}, expect=Expect.PASS)


def folder(family: str, name: str, files: Mapping[str, bytes | str], expect: Expect) -> Case:
    """A model of several files."""
    found = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
    return Case(name=f"{family}/{name}", family=family, files=found, expect=expect)
