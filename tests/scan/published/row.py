"""What the table says of one published bypass, and the makers that several products share. No payload ever runs."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.formats import pickles as p
from tests.formats.zipmaker import Item, make
from tests.scan.samples import samples
from weighbridge.core.evidence import Outcome
from weighbridge.core.value import dataclass

Files = Mapping[str, bytes]
"""A model: path → bytes."""
Cases = Callable[[], Iterable[Files]]
"""Makes the models that use a bypass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bypass:
    """One published weakness of a scanner or of a loader that a file can use."""

    id: str
    """CVE-…, GHSA-…, or project#number where a project answered in public and no id was given."""
    also: tuple[str, ...] = ()
    """Other ids of the same advisory."""
    product: str
    affected: str
    """The versions that have it, as the advisory gives them."""
    what: str
    """One sentence: what the file does, or what was not seen."""
    rule: str
    """The rule that names it in every case."""
    cases: Cases
    outcome: Outcome = Outcome.FAIL
    why: str = ""
    """Why nothing worse can be said, where a case does not fail."""

    def __str__(self) -> str:
        return "+".join((self.id, *self.also))


# -- pickles

COMMAND = f"__import__('os').system('{p.ECHO}')"
BAD = p.proto() + p.system() + b"."
GOOD = p.proto() + b"]."


def pickled(*programs: bytes) -> Cases:
    """Each program as a pickle of its own."""
    return lambda: [{"model.pkl": program} for program in programs]


def calls(*targets: tuple[str, str]) -> Cases:
    """Each function called with code, and with a word that says nothing: in a pickle and in a torch file."""

    def cases() -> Iterable[Files]:
        for module, qualname in targets:
            name = p.stack_name(module, qualname)
            for argument in (COMMAND, "sample"):
                program = p.call(name, p.text(argument), p.text("x"))
                yield {"model.pkl": p.proto() + program + b"."}
            yield {"model.pt": torch_zip(p.proto() + program + b".")}
            yield {"model.bin": p.proto(2) + p.call(p.name(module, qualname), p.text("sample")) + b"."}

    return cases


# -- archives


def zipped(members: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def tarred(*members: tuple[str, bytes, Mapping[str, Any]], mode: str = "w") -> bytes:
    """A tar file; the mapping sets fields of a member's header."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as file:  # type: ignore[call-overload]
        for name, data, fields in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def torch_zip(data: bytes, **fields: Any) -> bytes:
    """A torch file with this `data.pkl`; the fields let the headers of that entry lie."""
    return make(Item(name="model/data.pkl", data=data, **fields), Item(name="model/version", data=b"3\n"))


def torch_legacy(**pickles: bytes) -> bytes:
    """The five pickles of the old layout, of which some can be replaced."""
    usual = {
        "magic": p.proto(2) + b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
        "protocol": p.proto(2) + b"M\xe9\x03.",
        "system": p.proto(2) + b"}.",
        "value": p.proto(2) + b"}.",
        "keys": p.proto(2) + b"].",
    }
    return b"".join({**usual, **pickles}.values())


# -- other files


def config(name: str, *contents: Any) -> Cases:
    """A JSON file of this name for each content."""
    return lambda: [{name: json.dumps(content).encode()} for content in contents]


def files(name: str, *contents: bytes) -> Cases:
    """A file of this name for each content."""
    return lambda: [{name: content} for content in contents]


def sample(rule: str, *names: str) -> Cases:
    """The samples of a rule (`tests/samples/`): all of them, or those of these names."""

    def cases() -> Iterable[Files]:
        found = {one.name: one.files for one in samples(rule)}
        return [found[name] for name in names or found]

    return cases


def either(*makers: Cases) -> Cases:
    """The cases of all of these."""
    return lambda: [files for maker in makers for files in maker()]
