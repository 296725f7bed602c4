"""Which statements are about which artifact: by digest alone, and never by a part of it.

Two descriptors are one artifact where they share a digest and contradict each other in none; a digest that two different
things can be made to have (MD5, SHA-1) shows nothing. A statement in the manner of other tools names the files of a model
one by one: it is about the model where it names each of them at its path, and none in the same folder that is not there.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from weighbridge.attest.attestation import Attestation
from weighbridge.core.manifest import Manifest
from weighbridge.core.statement import TENSORS_ALGORITHM, Named
from weighbridge.core.value import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A measured artifact, as statements may name it."""

    what: Named
    files: frozenset[str] = frozenset()
    """`sha256:…` of each of its files; empty where one was not hashed."""
    paths: frozenset[tuple[str, str]] = frozenset()
    """(path, SHA-256 hex) of each; empty where one was not hashed."""


def subject_of(name: str, manifest: Manifest, *, single: bool = False) -> Subject:
    """The measured artifact. One file alone is also known by its own SHA-256."""
    hashes = [entry.sha256.hex() if entry.sha256 else "" for entry in manifest.entries]
    known = frozenset(f"sha256:{value}" for value in hashes) if all(hashes) else frozenset()
    pairs = zip((entry.path for entry in manifest.entries), hashes, strict=True)
    paths = frozenset(pairs) if all(hashes) else frozenset()
    alone = (("sha256", hashes[0]),) if single and len(hashes) == 1 and hashes[0] else ()
    files = manifest.files_digest() or manifest.files_digest("blake3")
    return Subject(
        what=Named(name=name, files=files, tensors=manifest.tensors_digest(), others=alone),
        files=known,
        paths=paths,
    )


def is_same(one: Named, other: Named) -> bool:
    """Whether two descriptors name one artifact."""
    mine, theirs = _strong(one), _strong(other)
    shared = mine.keys() & theirs.keys()
    return bool(shared) and all(mine[algorithm] == theirs[algorithm] for algorithm in shared)


_WEAK = frozenset({"md2", "md4", "md5", "sha1", "ripemd160"})


def _strong(named: Named) -> dict[str, str]:
    parted = (digest.split(":") for digest in named.digests)
    return {algorithm: value for algorithm, value in parted if algorithm.lower() not in _WEAK}


def names_files(named: Named, what: Named) -> bool:
    """Whether a descriptor is of the artifact and of its files, and not of its weights alone."""
    shared = _strong(named).keys() & _strong(what).keys()
    return is_same(named, what) and any(not one.startswith(TENSORS_ALGORITHM) for one in shared)


def binds_files(one: Attestation, subject: Subject) -> bool:
    """Whether a statement about the artifact names its files, and not its weights alone: beside these anything may lie."""
    return any(names_files(named, subject.what) for named in _subjects(one)) or _names_every_file(
        one, subject
    )


def any_same(ones: Iterable[Named], others: Collection[Named]) -> bool:
    """Whether the two sets share an artifact."""
    return any(is_same(one, other) for one in ones for other in others)


class Index:
    """Attestations by what they are about."""

    def __init__(self, attestations: Sequence[Attestation], root: Subject | None = None) -> None:
        self._root = root
        self._by_digest: dict[str, list[Attestation]] = defaultdict(list)
        for one in attestations:
            for digest in {digest for subject in _subjects(one) for digest in subject.digests}:
                self._by_digest[digest].append(one)
        self._whole = {id(one): one for one in attestations if root and _names_every_file(one, root)}

    def about(self, what: Named) -> tuple[Attestation, ...]:
        """Every attestation about it, signed or not, each once."""
        found = {id(one): one for one in self._candidates(what)}
        return tuple(one for one in found.values() if self._is_about(one, what))

    def _candidates(self, what: Named) -> Iterator[Attestation]:
        for digest in what.digests:
            yield from self._by_digest.get(digest, ())
        if self._root is not None and what == self._root.what:
            yield from self._whole.values()

    def _is_about(self, one: Attestation, what: Named) -> bool:
        if any(is_same(subject, what) for subject in _subjects(one)):
            return True
        return self._root is not None and what == self._root.what and id(one) in self._whole


def _subjects(one: Attestation) -> tuple[Named, ...]:
    return one.statement.subjects if one.statement else ()


def _names_every_file(one: Attestation, root: Subject) -> bool:
    named = {(what.name, value) for what in _subjects(one) for name, value in what.others if name == "sha256"}
    if not root.paths or len(named) < len(root.paths):
        return False
    path, value = max(root.paths, key=lambda pair: (len(pair[0]), pair))
    folders = {name.removesuffix(path) for name, found in named if found == value and name.endswith(path)}
    return any(_in_folder(named, folder) == root.paths for folder in folders if folder[-1:] in ("", "/"))


def _in_folder(named: Collection[tuple[str, str]], folder: str) -> frozenset[tuple[str, str]]:
    return frozenset((name.removeprefix(folder), value) for name, value in named if name.startswith(folder))
