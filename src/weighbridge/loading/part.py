"""Single tensors by their own signed digests: only the file's header and the tensors asked for are read.

A tensor counts as signed when its name, element type, shape and BLAKE3 digest are those that somebody trusted recorded
(`sign` does, docs/formats/oms.md). Where a signer recorded shards instead, every shard that is touched is hashed before any
of it is looked at. The header of the file is then only a map: whatever it says, the bytes that come out under a name
are the signed ones, or none do.

Nothing is said of the rest of the model: files that were added beside it are neither seen nor used.
"""

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

from weighbridge.check import Request, bundles_of, find_bundles, signature_evidence
from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.manifest import Difference
from weighbridge.core.report import Report, SignatureResult, Subject
from weighbridge.core.source import Source
from weighbridge.core.text import counted, some, visible
from weighbridge.core.value import dataclass, replace
from weighbridge.core.verdict import Decision
from weighbridge.core.version import __version__
from weighbridge.loading.holder import read_into
from weighbridge.loading.memory import private
from weighbridge.loading.placed import Found, place
from weighbridge.loading.refusal import refused
from weighbridge.loading.signed import statement_of
from weighbridge.measure.hashes import new_function
from weighbridge.measure.tensors import WEIGHTS, content, list_tensors
from weighbridge.policy import answers, judge
from weighbridge.sign.oms import OmsStatement, SignedTensor
from weighbridge.sign.verify import check_signer
from weighbridge.store import open_artifact

PAGE = 64 * 1024
"""Bytes that are read at once where tensors have their own digests."""


def label(path: str, name: str) -> str:
    """What a tensor is called in a load: its name, behind its folder where it lies in one."""
    return posixpath.join(posixpath.dirname(path), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Tensors that are what was signed, and the weighing that says so."""

    report: Report
    found: tuple[Found, ...]


def take(request: Request, model: str, names: Sequence[str]) -> Taken | None:
    """The tensors of these names, or None where the whole files must be read to know them.

    Raises `LoadRefused` where they are not what was signed, and `UsageError` as a weighing does.
    """
    policy = request.policy
    if policy.rules or policy.others or policy.plugins:
        return None  # such a policy asks about files, and they are not read here
    bundles, _ = find_bundles(request)
    anchors = request.keyring.anchors if request.keyring else ()
    authorities = request.keyring.authorities if request.keyring else ()
    checks = [check_signer(bundle, anchors, authorities, request.now) for bundle in bundles]
    artifact = open_artifact(
        model, links=request.links, exclude=bundles_of(Path(model), request.signatures)[1]
    )
    statements = {
        index: _named(statement, artifact)
        for index, check in enumerate(checks)
        if check.outcome is Outcome.PASS and (statement := statement_of(bundles[index])) is not None
    }
    if not statements:
        return None
    work = _Work(request, artifact, names)
    results: list[SignatureResult] = []
    for index, (bundle, check) in enumerate(zip(bundles, checks, strict=True)):
        result = SignatureResult(
            outcome=check.outcome, why=check.why, code=check.code, by=check.by, roles=check.roles, how=check.how,
            key=check.key, bundle=bundle.source,
        )  # fmt: skip
        judged = work.judged(statements[index], result) if index in statements else result
        if judged is None:
            return None
        results.append(judged)
    return _settled(request, model, artifact, work, tuple(results))


def _named(statement: OmsStatement, artifact: Artifact) -> OmsStatement:
    """A nameless statement about one file, under the name that the file has here."""
    if not (statement.nameless and artifact.single):
        return statement
    path = artifact.members[0].path
    return replace(
        statement,
        resources=tuple(item._replace(path=path) for item in statement.resources),
        tensors=tuple(item._replace(path=path) for item in statement.tensors),
        tensor_paths=frozenset(path for _ in statement.tensor_paths),
    )


def _settled(
    request: Request, model: str, artifact: Artifact, work: "_Work", results: tuple[SignatureResult, ...]
) -> Taken | None:
    """The verdict over the tensors. None where these signatures are too few, and others may need whole files."""
    signed = signature_evidence(request, results)
    failed = any(row.outcome is Outcome.FAIL for row in signed)
    if not failed and any(row.outcome is not Outcome.PASS for row in signed):
        return None
    found = work.found
    why = f"{counted(len(found), 'tensor')} taken as bytes, and no loader of the file's format runs"
    evidence = (
        *signed,
        Evidence(question="safe", outcome=Outcome.PASS, why=why, by="weighbridge load"),
        Evidence(
            question="read",
            outcome=Outcome.PASS,
            why="all bytes that are used were read",
            by="weighbridge load",
        ),
    )
    asked = request.policy.questions_of("check")
    report = Report(
        command="check",
        verdict=judge(request.policy, evidence, (), request.now, asked=asked),
        subject=Subject(
            name=artifact.name, files=len(artifact.members), bytes=sum(m.size for m in artifact.members)
        ),
        evidence=answers(request.policy, evidence, (), request.now, asked=asked),
        signatures=results,
        policy=(request.policy.name, request.policy.digest),
        started=request.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        tool_version=__version__,
    )
    if report.verdict.decision is not Decision.ADMITTED:
        raise refused(report, model)
    return Taken(report=report, found=tuple(found))


class _Work:
    """Opens each file once, whoever signed it."""

    def __init__(self, request: Request, artifact: Artifact, names: Sequence[str]) -> None:
        self._artifact, self._names = artifact, names
        self._budget = Budget(request.limits)
        self._files: dict[str, dict[str, Found]] = {}
        self._members = {member.path: member for member in artifact.members}
        self._taken: dict[str, Found] = {}

    @property
    def found(self) -> list[Found]:
        """The tensors that every trusted signer signed."""
        return list(self._taken.values())

    def judged(self, statement: OmsStatement, result: SignatureResult) -> SignatureResult | None:
        """What one trusted statement says of the tensors; None where it does not speak of single ones."""
        wanted = _signed_tensors(statement, self._names)
        if wanted is None:
            return self._by_shards(statement, result)
        removed, changed = [], []
        for tensor in wanted:
            found = self._file(tensor.path, None).get(tensor.name)
            if found is None:
                removed.append(tensor.name)
            elif not _same(tensor, found):
                changed.append(tensor.name)
            else:
                self._taken.setdefault(label(tensor.path, tensor.name), found)
        return _told(result, wanted, changed, removed)

    def _by_shards(self, statement: OmsStatement, result: SignatureResult) -> SignatureResult | None:
        """Signed in shards, without a word on tensors: what is read is verified shard by shard."""
        if not statement.shard_size or statement.tensors:
            return None
        left = set(self._names)
        paths = [path for path in sorted(statement.paths) if path.lower().endswith(WEIGHTS)]
        try:
            for path in paths:
                if not any(posixpath.dirname(path) == posixpath.dirname(name) for name in left):
                    continue
                for name, found in self._file(path, statement).items():
                    if label(path, name) in left and self._whole(found):
                        self._taken.setdefault(label(path, name), found)
                        left.discard(label(path, name))
        except (InputError, LimitError) as error:
            return replace(
                result, outcome=Outcome.FAIL, code=error.code, why=error.message,
                difference=Difference(changed=(path,)),
            )  # fmt: skip
        if left:
            return None
        return replace(
            result, why=f"{result.why}; {counted(len(self._names), 'tensor')} as signed, by shards"
        )

    def _whole(self, found: Found) -> bool:
        """Read all of a tensor, so that every shard it touches is verified before anybody looks at it."""
        for _ in content(found.ref, found.source):
            pass
        return True

    def _file(self, path: str, statement: OmsStatement | None) -> Mapping[str, Found]:
        """Name → tensor of one file, by its own word for it."""
        if path in self._files:
            return self._files[path]
        member = self._members.get(path)
        self._files[path] = {}
        if member is not None:
            shards = _Shards(statement, path, member.size) if statement is not None else None
            files = _LazyFiles(self._artifact, path, shards)
            artifact = replace(self._artifact, files=files, members=(member,))
            self._files[path] = self._placed(artifact, member)
            if shards is not None and shards.wrong is not None:
                raise shards.wrong  # readers take it for a file that ends early
        return self._files[path]

    def _placed(self, artifact: Artifact, member: Member) -> dict[str, Found]:
        source = artifact.files.open(member)
        listing = list_tensors(source, member.path, self._budget)
        found, _ = place(member.path, source, listing.tensors)
        return {one.name: one for one in found}


def _signed_tensors(statement: OmsStatement, names: Sequence[str]) -> list[SignedTensor] | None:
    """The signed record of each name; None where one has none, or several files have different ones."""
    by_label: dict[str, list[SignedTensor]] = {}
    for tensor in statement.tensors:
        by_label.setdefault(label(tensor.path, tensor.name), []).append(tensor)
    wanted = []
    for name in names:
        recorded = by_label.get(name, [])
        if len({(one.dtype, one.shape, one.digest) for one in recorded}) != 1:
            return None
        wanted.append(min(recorded, key=lambda one: (not one.path.endswith(".safetensors"), one.path)))
    return wanted


def _same(signed: SignedTensor, found: Found) -> bool:
    """Whether the bytes in memory are those that were signed under this name."""
    ref = found.ref
    if (ref.dtype, tuple(ref.shape)) != (signed.dtype, signed.shape):
        return False
    digest = new_function("blake3")()
    try:
        for piece in content(ref, found.source):
            digest.update(piece)
    except (InputError, LimitError):
        return False
    return bytes(digest.digest()) == signed.digest


def _told(
    result: SignatureResult, wanted: Sequence[SignedTensor], changed: list[str], removed: list[str]
) -> SignatureResult:
    covers = f"{counted(len(wanted), 'tensor')} of {counted(len({one.path for one in wanted}), 'file')}"
    if not changed and not removed:
        return replace(result, why=f"{result.why}; {covers} as signed", covers=covers)
    said = ", ".join(
        f"{word} {some(names)}" for word, names in (("changed", changed), ("missing", removed)) if names
    )
    return replace(
        result,
        outcome=Outcome.FAIL,
        code="contents-differ",
        why=f"tensors differ from what was signed: {said}",
        covers=covers,
        difference=Difference(
            changed=tuple(sorted({one.path for one in wanted if one.name in (*changed, *removed)})),
            tensors_changed=tuple(sorted(changed)),
            tensors_removed=tuple(sorted(removed)),
        ),
    )


class _Shards:
    """The signed shards of one file."""

    def __init__(self, statement: OmsStatement, path: str, size: int) -> None:
        self.size = statement.shard_size or size
        self._new = new_function(statement.hash_type)
        self._digests = {
            item.start: (item.end, item.digest) for item in statement.resources if item.path == path
        }
        self._path = path
        self.wrong: InputError | None = None
        """The first shard that was not what was signed."""
        if max((end or 0 for end, _ in self._digests.values()), default=0) != size:
            raise InputError("contents-differ", f'"{visible(path)}" has not the size that was signed')

    def check(self, start: int, data: memoryview) -> None:
        """Raises `InputError` (`contents-differ`)."""
        end, digest = self._digests.get(start, (None, b""))
        if end != start + len(data) or self._new(data).digest() != digest:
            where = f'bytes {start} to {start + len(data)} of "{visible(self._path)}"'
            self.wrong = InputError("contents-differ", f"{where} were not signed")
            raise self.wrong


class _LazyFiles:
    """`core.artifact.Files` for one file that is read as it is looked at."""

    def __init__(self, artifact: Artifact, path: str, shards: _Shards | None) -> None:
        self._artifact, self._path, self._shards = artifact, path, shards
        self._open: Lazy | None = None

    def open(self, member: Member) -> Source:
        """See `Files.open`."""
        if member.path != self._path:
            raise InputError("unreadable", "only one file is open")
        if self._open is None:
            self._open = Lazy(self._artifact.files.open(member), self._shards)
        return self._open


class Lazy:
    """A Source over private memory that is filled from a file as it is read, each page once and for all."""

    def __init__(self, source: Source, shards: _Shards | None) -> None:
        self._source, self._shards = source, shards
        self._page = shards.size if shards is not None else PAGE
        self.size = source.size
        self.buffer = private(self.size) if self.size else b""
        """What arrays are views of; pages that were read through this source are filled."""
        self._view = memoryview(self.buffer)
        self._there = bytearray(-(-self.size // self._page))

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        if offset < 0 or length < 0:
            raise InputError("bad-offset", f"offset {offset} with length {length} is no place in a file")
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        for index in range(offset // self._page, -(-end // self._page)):
            if not self._there[index]:
                self._fill(index * self._page)
                self._there[index] = 1
        return bytes(self._view[offset:end])

    def _fill(self, start: int) -> None:
        with self._view[start : start + self._page] as piece:
            read_into(self._source, start, piece)
            if self._shards is not None:
                self._shards.check(start, piece)
