"""PythonRule: what the rules over Python code share, namely which modules of an artifact they look at.

A module of the artifact itself is looked at with the folder, since its configs say which of its classes are loaded; one
inside another file (an archive, a notebook) is looked at where it is found.
"""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place
from weighbridge.formats.python import PythonReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.python_effects import Setting
from weighbridge.scan.python_effects.files import inner_setting, python_files
from weighbridge.scan.rule import Folder, Rule


class PythonRule(Rule):
    """A rule over Python code; it implements `found`."""

    formats: ClassVar[tuple[str, ...]] = ("python",)
    folder = True

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Modules inside other files."""
        setting = inner_setting(place)
        if setting and isinstance(reading, PythonReading):
            yield from self.found(reading, place, setting)

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """Modules of the artifact, with what its configs name in them."""
        for path, reading, setting in python_files(folder):
            yield from self.found(reading, Place(path=path), setting)

    def found(self, reading: PythonReading, place: Place, setting: Setting) -> Iterator[Finding]:
        """Findings in one module."""
        raise NotImplementedError
