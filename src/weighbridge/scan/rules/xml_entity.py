"""The rule `xml-entity`."""

import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_DOCTYPE = re.compile(r"<!DOCTYPE\b")
_ENTITY = re.compile(
    r"""<!ENTITY\s+(?:%\s+)?\S+\s+(?:(SYSTEM|PUBLIC)\b|"([^"]*)"|'([^']*)')""",
)
_ENCODING = re.compile(r"""\A\ufeff?\s*<\?xml[^>]*?\bencoding\s*=\s*["']([^"']*)""")
_PLAIN = frozenset(
    {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "utf-16", "utf-16le", "utf-16be", "windows-1252"}
)


class XmlEntity(Rule):
    """
    ## What it does
    Looks in XML files (PMML, OpenVINO's and others) for a document type with entities: those that stand for a file or an
    address, those that are made of other entities, and encodings in which a document type could hide.

    ## Why is this bad?
    A parser that follows entities reads files of the machine and calls addresses while it loads the model (XXE), or fills
    the memory with a few lines of text (“billion laughs”). No model format needs them.

    ## Example
    ```xml
    <!DOCTYPE PMML [<!ENTITY x SYSTEM "file:///tmp/weighbridge-sample">]>
    ```

    ## Use instead
    The same document without `<!DOCTYPE …>`.

    ## Known problems
    A document type without such entities is undecided: some parsers fetch it.

    ## References
    - CWE-611, CWE-776
    """

    name = "xml-entity"
    summary = "an XML file makes its parser read files, call addresses or grow"
    severity = Severity.ERROR
    formats = ("xml",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a file."""
        if not isinstance(reading, TextReading):
            return
        declared = _ENCODING.match(reading.text)
        if declared and declared[1].lower() not in _PLAIN:
            message = f"is written in {declared[1][:40]}, in which anything could hide"
            yield self.finding(place, message, severity=Severity.WARNING, doubt=True)
        text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), reading.text)
        start = _DOCTYPE.search(text)
        if start is None:
            return
        where = replace(place, line=text.count("\n", 0, start.start()) + 1)
        if what := _harm(text):
            yield self.finding(where, what)
        else:
            message = "has a document type, which some parsers fetch"
            yield self.finding(where, message, severity=Severity.WARNING, doubt=True)


def _harm(text: str) -> str:
    """What parsing the entities does; "" where none does anything."""
    for found in _ENTITY.finditer(text):
        if found[1]:
            return "parsing it reads a file or an address that an entity names"
        value = found[2] or found[3] or ""
        if "&" in re.sub(r"&#\w+;", "", value) or "%" in value:
            return "parsing it unfolds entities that are made of entities"
    return ""
