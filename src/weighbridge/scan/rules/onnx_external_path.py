"""The rule `onnx-external-path`."""

import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.artifact import Member
from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.onnx.reading import ExternalData, OnnxReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Folder, Rule

PROBLEMS = {
    "empty": "names no file",
    "too-long": "is longer than any path",
    "memory-address": "makes ONNX Runtime read its own memory at an address that the model chooses",
    "control-character": "holds characters that no file name should",
    "drive": "leads to a Windows drive",
    "url": "is an address and no file",
    "absolute": "leads out of the model's folder: it is absolute",
    "backslash": "is a path on Windows and a name elsewhere",
    "parent": "leads out of the model's folder",
    "directory": "names a directory",
}
MAX_FINDINGS = 20
"""For each problem; a model has thousands of tensors."""


class OnnxExternalPath(Rule):
    """A tensor's external data lies where the model has no business.

    ## What it does
    Looks at every external data location in the model: initial values, attributes, subgraphs, functions and training
    graphs. It must be a plain relative path below the model's folder, lead to a regular file of the model that is not a
    link, and end inside that file.

    ## Why is this bad?
    Loaders open what stands there, and the tensor then holds the content of a password file or a key. The check for
    this was mended in onnx five times: `../` (CVE-2022-25882), a second spelling of it (CVE-2024-27318), on saving
    (CVE-2025-51480), with links (CVE-2026-27489, CVE-2026-34447) and hard links (CVE-2026-34446).

    ## Example
    ```text
    external_data { key: "location" value: "../../../../etc/passwd" }
    ```

    ## Use instead
    One data file beside the model, as `onnx.save_model(…, save_as_external_data=True)` writes it.

    ## Known problems
    Hard links cannot be told from files; they do not survive archives, registries or git.

    ## References
    - https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
    - CVE-2022-25882, CVE-2024-27318, CVE-2025-51480, CVE-2026-27489, CVE-2026-34446, CVE-2026-34447
    """

    name = "onnx-external-path"
    summary = "external tensor data lies outside the model's folder, behind a link, or nowhere"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("onnx", "onnx-text")
    folder = True

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Paths that are wrong whatever lies beside the model."""
        if not isinstance(reading, OnnxReading):
            return
        seen: dict[str, int] = {}
        for data in reading.external:
            if data.problem:
                seen[data.problem] = seen.get(data.problem, 0) + 1
                if seen[data.problem] <= MAX_FINDINGS:
                    message = f'external data "{visible(data.location, 100)}" {PROBLEMS[data.problem]}'
                    yield self.finding(_where(place, data), message)

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """Paths whose file is missing, a link, or too short."""
        members = {member.path: member for member in folder.artifact.members}
        links = {found.path for found in folder.artifact.obstacles if found.code.startswith("link-")}
        for path, readings in folder.readings.items():
            for reading in readings:
                if isinstance(reading, OnnxReading):
                    yield from self._beside(reading, Place(path=path), members, links)

    def _beside(
        self, reading: OnnxReading, place: Place, members: Mapping[str, Member], links: Collection[str]
    ) -> Iterator[Finding]:
        """One finding a file, of the first tensor that meets the trouble."""
        seen: set[tuple[str, str]] = set()
        for data in reading.external:
            if data.problem:
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(place.path), data.location))
            finding = self._target(_where(place, data), data, members.get(target), target in links)
            if finding is not None and (target, finding.message) not in seen:
                seen.add((target, finding.message))
                yield finding

    def _target(
        self, where: Place, data: ExternalData, member: Member | None, outside: bool
    ) -> Finding | None:
        name = f'external data "{visible(data.location, 100)}"'
        if outside:
            return self.finding(where, f"{name} is a link that leads out of the model")
        if member is None:
            return self.finding(where, f"{name} is not here", severity=Severity.WARNING, doubt=True)
        if member.link is not None:
            return self.finding(where, f"{name} is a link to {visible(member.link, 100)}")
        if data.offset + data.length > member.size:
            return self.finding(where, f"{name} ends before the tensor that lies in it")
        return None


def _where(place: Place, data: ExternalData) -> Place:
    return replace(place.inside(f"tensor {visible(data.tensor, 80)}"), offset=data.at)
