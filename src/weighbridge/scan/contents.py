"""What is in an artifact, file by file, with no opinion: `inspect` prints it. Reads headers, judges nothing."""

from collections import Counter
from math import prod

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.value import dataclass
from weighbridge.formats import candidates, read
from weighbridge.formats.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """One file's inside."""

    path: str
    size: int
    formats: tuple[str, ...] = ()
    tensors: int | None = None
    """None where this file holds none or they cannot be listed."""
    parameters: int = 0
    """Items over all tensors."""
    dtypes: tuple[tuple[str, int], ...] = ()
    """(dtype, number of tensors), most frequent first."""
    parts: tuple[str, ...] = ()
    """Names of what lies inside: members, nested pickles, templates."""
    notes: tuple[str, ...] = ()
    """What the format's text forbids and this file does."""
    unread: tuple[str, ...] = ()
    """Codes of what was not read."""


def contents(artifact: Artifact, limits: Limits | None = None) -> tuple[Contents, ...]:
    """One entry for every member and obstacle, sorted by path; never raises for what the bytes say."""
    budget = Budget(limits)
    found = [_look(artifact, member, budget) for member in artifact.members]
    found += [Contents(path=o.path, size=0, unread=(o.code,)) for o in artifact.obstacles]
    return tuple(sorted(found, key=lambda contents: contents.path))


def _look(artifact: Artifact, member: Member, budget: Budget) -> Contents:
    readings: list[Reading] = []
    unread: list[str] = []
    try:
        source = artifact.files.open(member)
        names = candidates(source, member.path)
    except (InputError, LimitError) as error:
        return Contents(path=member.path, size=member.size, unread=(error.code,))
    except Exception:
        return Contents(path=member.path, size=member.size, unread=("internal-error",))
    for name in names:
        try:
            readings.append(read(name, source, budget, member.path))
        except (InputError, LimitError) as error:
            unread.append(error.code)
        except Exception:
            unread.append("internal-error")
    wrong = [code for code in unread if code != "not-this-format"]
    unknown = ["format-unknown"] if not readings and not wrong else []
    return _summed(member, readings, [*wrong, *unknown])


def _summed(member: Member, readings: list[Reading], unread: list[str]) -> Contents:
    tensors = [tensor for reading in readings for tensor in reading.tensors or ()]
    listed = any(reading.tensors is not None for reading in readings)
    return Contents(
        path=member.path,
        size=member.size,
        formats=tuple(reading.format for reading in readings),
        tensors=len(tensors) if listed else None,
        parameters=sum(prod(tensor.shape) for tensor in tensors),
        dtypes=tuple(Counter(tensor.dtype for tensor in tensors).most_common()),
        parts=tuple(part.name for reading in readings for part in reading.parts),
        notes=tuple(f"{a.code}: {a.message}" for reading in readings for a in reading.anomalies),
        unread=tuple(dict.fromkeys([*unread, *(gap.code for reading in readings for gap in reading.gaps)])),
    )
