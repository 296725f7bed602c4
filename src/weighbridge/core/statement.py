"""Statement: somebody's sentence about artifacts that are named by digest, as in-toto writes it (Statement v1).

    {"_type": …, "subject": [{"name": …, "digest": {algorithm: hex}}], "predicateType": …, "predicate": {…}}

A subject that has only a name speaks about nothing and is refused. Our two digests have algorithm names of their own,
since in-toto's `sha256` is the hash of one file's bytes; both may stand in one subject, and both must then hold. What a
predicate means is known by `weighbridge.attest`; who signed the statement by `weighbridge.sign`.
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from weighbridge.core.errors import InputError
from weighbridge.core.manifest import Digest
from weighbridge.core.pattern import late
from weighbridge.core.report import FILES_ALGORITHM
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json, write_json

STATEMENT = "https://in-toto.io/Statement/v1"
TENSORS_ALGORITHM = "weighbridge-tensors-v1-"
MAX_STATEMENT = 16 * 1024**2
MAX_SUBJECTS = 100_000
_BAD = "bad-statement"
_HEX = late(r"(?:[0-9a-f]{2}){16,64}")
_ALGORITHM = late(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One artifact that a statement speaks about. The name is for people; the digests are what it is."""

    name: str = ""
    files: Digest | None = None
    """The file-set digest."""
    tensors: Digest | None = None
    """The tensor-set digest."""
    others: tuple[tuple[str, str], ...] = ()
    """(algorithm, hex) of any other digest, sorted: `sha256` of one file, `gitCommit`, …"""

    @property
    def digests(self) -> tuple[str, ...]:
        """Every digest as `algorithm:hex` with the algorithm as it stands in the statement, sorted."""
        return tuple(f"{algorithm}:{value}" for algorithm, value in sorted(_digest_map(self).items()))

    def is_same(self, files: Digest | None, tensors: Digest | None) -> bool:
        """Whether a measured artifact is this one: each digest of ours that stands here must be equal, and one must."""
        pairs = [(mine, theirs) for mine, theirs in ((self.files, files), (self.tensors, tensors)) if mine]
        return bool(pairs) and all(mine == theirs for mine, theirs in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The sentence itself."""

    subjects: tuple[Named, ...]
    predicate_type: str
    predicate: Mapping[str, Any] = field(default_factory=dict)


def read_statement(payload: bytes, what: str = "the statement") -> Statement:
    """Strict. Raises `InputError` (`bad-statement`, `bad-json`, `duplicate-key`) and `LimitError` (`limit-json`)."""
    document = read_json(payload, what, limit=MAX_STATEMENT)
    if not isinstance(document, dict) or document.get("_type") != STATEMENT:
        raise InputError(_BAD, f"{what} is no in-toto Statement v1")
    subjects, kind, predicate = (document.get(key) for key in ("subject", "predicateType", "predicate"))
    if not isinstance(kind, str) or not kind or len(kind) > 500:
        raise InputError(_BAD, f"{what} has no predicate type")
    if not isinstance(predicate, dict):
        raise InputError(_BAD, f"{what} has no predicate")
    if not isinstance(subjects, list) or not 0 < len(subjects) <= MAX_SUBJECTS:
        raise InputError(_BAD, f"{what} names no subject, or too many")
    return Statement(
        subjects=tuple(read_named(subject, f"a subject of {what}") for subject in subjects),
        predicate_type=kind,
        predicate=predicate,
    )


def write_statement(statement: Statement) -> bytes:
    """The payload to sign; `read_statement(write_statement(s)) == s`."""
    return write_json(
        {
            "_type": STATEMENT,
            "subject": [write_named(subject) for subject in statement.subjects],
            "predicateType": statement.predicate_type,
            "predicate": dict(statement.predicate),
        }
    )


def read_named(value: Any, what: str) -> Named:
    """A subject or resource descriptor. Raises `InputError` (`bad-statement`) also where it is known by name alone."""
    digests = value.get("digest") if isinstance(value, dict) else None
    if not isinstance(digests, dict) or not digests:
        raise InputError(_BAD, f"{what} is known by name only, and a name is no model")
    for algorithm, text in digests.items():
        if not _ALGORITHM.fullmatch(algorithm) or not isinstance(text, str) or not _HEX.fullmatch(text):
            raise InputError(_BAD, f'{what} has "{visible(str(algorithm), 60)}", which is no digest')
    name = value.get("name", "")
    if not isinstance(name, str) or len(name) > 4096:
        raise InputError(_BAD, f"{what} has a name that is none")
    ours = (FILES_ALGORITHM, TENSORS_ALGORITHM)
    return Named(
        name=name,
        files=_ours(digests, FILES_ALGORITHM, what),
        tensors=_ours(digests, TENSORS_ALGORITHM, what),
        others=tuple(sorted((key, text) for key, text in digests.items() if not key.startswith(ours))),
    )


def read_digest(text: str) -> Named:
    """`algorithm:hex`, as somebody types it: one digest as a statement would have it. Raises `InputError` (`bad-digest`, `bad-statement`).

    Only a name of ours says what it is the digest of; a bare `sha256:…` stands among the others, and whoever asks knows better.
    """
    algorithm, value = Digest.parse(text.lower())
    return read_named({"digest": {algorithm: value.hex()}}, f'"{visible(text, 80)}"')


def write_named(named: Named) -> dict[str, Any]:
    """The descriptor as JSON. Raises `InputError` (`bad-statement`) where it has no digest."""
    digests = _digest_map(named)
    if not digests:
        raise InputError(
            _BAD, f'"{visible(named.name, 80)}" has no digest, so nothing can be stated about it'
        )
    return {**({"name": named.name} if named.name else {}), "digest": digests}


def _ours(digests: Mapping[str, str], prefix: str, what: str) -> Digest | None:
    found = [(key, text) for key, text in digests.items() if key.startswith(prefix)]
    if len(found) > 1:
        raise InputError(_BAD, f"{what} has two digests of one kind")
    return Digest(found[0][0].removeprefix(prefix), bytes.fromhex(found[0][1])) if found else None


def _digest_map(named: Named) -> dict[str, str]:
    ours = ((FILES_ALGORITHM, named.files), (TENSORS_ALGORITHM, named.tensors))
    return {
        **{f"{prefix}{digest.algorithm}": digest.value.hex() for prefix, digest in ours if digest},
        **dict(named.others),
    }
