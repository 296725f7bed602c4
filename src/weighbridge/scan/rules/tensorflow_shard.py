"""The rule `tensorflow-shard`."""

import posixpath
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from weighbridge.core.artifact import Member
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.scan.rule import Folder, Rule

if TYPE_CHECKING:
    from weighbridge.formats.tensorflow.checkpoint import IndexReading

MAX_LOOKED = 20_000
"""Tensors of one checkpoint whose first bytes are looked at."""


class TensorflowShard(Rule):
    """A shard of a TensorFlow checkpoint is missing, too short, or holds something else.

    ## What it does
    Compares the index of a checkpoint with the shards beside it: each must be there, be no link, end no sooner than its
    tensors, and hold nothing behind them. Tensors that begin like a program, a pickle or an archive are reported.

    ## Why is this bad?
    Restoring reads where the index says. Part of the model was not weighed where a shard is missing; bytes behind the last
    tensor are carried along by everybody and read by nobody.

    ## Example
    ```text
    variables.index           w: 24 bytes at byte 0 of shard 0
    variables.data-00000-of-00001    16 bytes
    ```

    ## Use instead
    All files of the checkpoint, as the saver wrote them.

    ## Known problems
    A checkpoint of which only the index was fetched is undecided. Shards in archives are not held against their index.
    """

    name = "tensorflow-shard"
    summary = "a shard of a TensorFlow checkpoint is missing, too short, or holds something else"
    severity = Severity.ERROR
    folder = True

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """One finding for each shard and reason."""
        if not folder.holds("tf-checkpoint-index"):
            return
        from weighbridge.formats.tensorflow.checkpoint import IndexReading

        members = {member.path: member for member in folder.artifact.members}
        for path, readings in folder.readings.items():
            for reading in readings:
                if isinstance(reading, IndexReading):
                    yield from self._shards(reading, path, members)
                    if not folder.artifact.remote:
                        yield from self._programs(reading, path, members, folder)

    def _shards(self, reading: "IndexReading", path: str, members: Mapping[str, Member]) -> Iterator[Finding]:
        place = Place(path=path)
        ends: dict[str, int] = {}
        for entry in reading.entries:
            for offset, length in entry.spans:
                ends[entry.external] = max(ends.get(entry.external, 0), offset + length)
        for shard in reading.externals:
            member = members.get(posixpath.join(posixpath.dirname(path), shard))
            name, end = f'the shard "{visible(shard, 100)}"', ends.get(shard, 0)
            if member is None:
                yield self.finding(place, f"{name} is not here", severity=Severity.WARNING, doubt=True)
            elif member.size < end:
                yield self.finding(place, f"{name} has {member.size} bytes, and a tensor ends at byte {end}")
            elif member.size > end:
                message = f"{member.size - end} bytes behind the last tensor"
                where = Place(path=member.path, offset=end)
                yield self.finding(where, message, severity=Severity.WARNING, doubt=True)

    def _programs(
        self, reading: "IndexReading", path: str, members: Mapping[str, Member], folder: Folder
    ) -> Iterator[Finding]:
        from weighbridge.formats.embedded import program_part

        sources: dict[str, Source] = {}
        for entry in reading.entries[:MAX_LOOKED]:
            member = members.get(posixpath.join(posixpath.dirname(path), entry.external))
            ((offset, length),) = entry.spans
            if member is None or offset + length > member.size:
                continue
            try:
                source = sources.get(member.path) or folder.artifact.files.open(member)
                sources[member.path] = source
                part = program_part(source, offset, length, entry.name)
            except (InputError, LimitError):
                continue
            if part is not None:
                native = part.kind == "executable"
                place = Place(path=member.path, parts=(part.name,), offset=offset)
                message = f"a tensor that begins like {'a program' if native else 'a pickle, an archive or a script'}"
                yield self.finding(
                    place, message, severity=None if native else Severity.WARNING, doubt=not native
                )
