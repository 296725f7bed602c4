"""git-lfs pointers (git-lfs specification, "The Pointer"): a few lines of text where the real file should be.

Says which object is missing; it is never a pass, because the file that will be loaded is not here.
"""

import re

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Anomaly, Gap, Reading

MAX_POINTER = 1024
_OID = late(r"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_ANY_OID = late(r"^(?:oid|ext-\d+-\S+) +(\S.*)$", re.MULTILINE)
_PATH = late(r"\.\.|[/\\%~$`|;&]")
_SIZE = late(r"^size (\d{1,19})$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LfsPointer(Reading):
    """The object that the pointer stands for."""

    oid: str
    """Hex SHA-256 of the real file."""
    real_size: int


def read(source: Source, budget: Budget, name: str) -> LfsPointer:
    """Read the pointer; one whose object is a path is an anomaly. Raises `InputError` (`not-this-format`) where it is only text that begins like one."""
    text = source.read(0, MAX_POINTER + 1).decode("latin-1")
    if path := next((found[1] for found in _ANY_OID.finditer(text) if _PATH.search(found[1])), ""):
        return _escaping(path)
    oid, size = _OID.search(text), _SIZE.search(text)
    if len(text) > MAX_POINTER or oid is None or size is None:
        raise InputError("not-this-format", "not a git-lfs pointer")
    gaps = [
        Gap(code="lfs-pointer", message=f"only a git-lfs pointer is here; the file of {size[1]} bytes is not")
    ]
    end = max(oid.end(), size.end()) + 1
    if text[end:].strip():
        gaps.append(Gap(code="trailing-bytes", message="something stands behind the pointer", offset=end))
    return LfsPointer(format="lfs-pointer", oid=oid[1], real_size=int(size[1]), gaps=tuple(gaps))


def _escaping(path: str) -> LfsPointer:
    message = f'the object "{visible(path, 80)}" is a path, which a client looks up below its store'
    odd = Anomaly(code="oid-path", message=message)
    gap = Gap(code="lfs-pointer", message="only a git-lfs pointer is here, and it names no object")
    return LfsPointer(format="lfs-pointer", oid="", real_size=0, anomalies=(odd,), gaps=(gap,))
