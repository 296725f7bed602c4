"""The rule `openvino-out-of-bounds`."""

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.xml import XmlReading
from weighbridge.scan.rule import Folder, Rule

MAX_FINDINGS = 20


class OpenvinoOutOfBounds(Rule):
    """
    ## What it does
    Holds the place and size of every constant of an OpenVINO model against its shape, and against the `.bin` beside it.

    ## Why is this bad?
    The loader maps the `.bin` into memory and takes the constants where the document says. A place behind its end, or a
    size that the shape contradicts, makes it read foreign memory.

    ## Example
    ```xml
    <data element_type="f32" shape="2" offset="18446744073709551608" size="8"/>
    ```

    ## Use instead
    Models as `openvino.save_model` writes them.

    ## Known problems
    A `.bin` that was cut off while it was downloaded looks the same. A missing `.bin` is not reported: nothing loads.

    ## References
    - CWE-125
    """

    name = "openvino-out-of-bounds"
    summary = "a constant of an OpenVINO model lies outside its weights file"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("openvino",)
    folder = True

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Constants that contradict themselves."""
        if isinstance(reading, XmlReading):
            wrong = [fact for fact in reading.facts if fact.code == "openvino-bounds"]
            for fact in wrong[:MAX_FINDINGS]:
                yield self.finding(replace(place, line=fact.line), fact.message)

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """Constants behind the end of the `.bin`, and a `.bin` that is a link."""
        members = {member.path: member for member in folder.artifact.members}
        for path, readings in folder.readings.items():
            for reading in readings:
                if not isinstance(reading, XmlReading) or reading.format != "openvino" or not reading.reach:
                    continue
                beside = posixpath.join(posixpath.dirname(path), reading.externals[0])
                member = members.get(beside)
                if member is not None and member.size < reading.reach:
                    message = (
                        f"constants reach to byte {reading.reach} of a .bin that has {member.size} bytes"
                    )
                    yield self.finding(Place(path=path), message)
