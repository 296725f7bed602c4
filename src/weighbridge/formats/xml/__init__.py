"""XML (1.0, fifth edition) over expat: what a parser, a stylesheet processor or a browser would do because of it.

The whole document is parsed and nothing is kept of it but facts: document type and entities, includes, processing
instructions, scripts, the classes that object readers would make. PMML and OpenVINO's IR are XML, and their own facts
come from `formats.pmml` and `formats.openvino` in the same pass. No entity is ever expanded: parsing stops behind a
document type that declares one. What expat does not take (multi-byte encodings, broken documents) is searched as text,
so that the harm in it is named all the same, and stays a gap.
"""

import re
import xml.parsers.expat as expat
from collections.abc import Iterator, Mapping
from typing import Protocol

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Gap, Reading, TensorRef
from weighbridge.formats.xml import meaning as xmlmeaning

CHUNK = 4 * 1024**2
MAX_FACTS = 200
MAX_DEPTH = 256
"""libxml2 refuses deeper documents unless it is told to be careless."""
OVERFLOW_DEPTH = 5_000
"""Readers that call themselves for each level run out of stack."""
SEPARATOR = "\n"
"""Between namespace and name, in expat's spelling; no name can hold one."""

_ENCODING = late(r"""\A\ufeff?\s*<\?xml[^>]*?\bencoding\s*=\s*["']([^"']{1,40})""")
_DOCTYPE = late(r"<!DOCTYPE\b")
_ENTITY = late(r"""<!ENTITY\s+(?:%\s+)?\S+\s+(?:(SYSTEM|PUBLIC)\b|"([^"]*)"|'([^']*)')""")
_COMMENT = late(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_EBCDIC = b"\x4c\x6f\xa7\x94\x93"


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlReading(Reading):
    """`format` is `xml`, `pmml` or `openvino`."""

    root: str = ""
    """Local name of the root element."""
    facts: tuple[xmlmeaning.Fact, ...] = ()
    text: str = ""
    """The first 4 MiB, for rules over text (secrets)."""
    encoding: str = ""
    """As declared, or as expat found it."""
    reach: int = 0
    """For OpenVINO: how far into its `.bin` the document points."""


class Dialect(Protocol):
    """Collects what one kind of document says of itself; fed in document order."""

    format: str

    def start(self, name: str, attributes: Mapping[str, str], line: int) -> Iterator[xmlmeaning.Fact]:
        """An element begins; `name` is its local name."""

    def text(self, data: str, line: int) -> Iterator[xmlmeaning.Fact]:
        """Character data."""

    def end(self, name: str) -> None:
        """An element ends."""

    def close(self) -> Iterator[xmlmeaning.Fact]:
        """What only the whole document shows."""

    @property
    def tensors(self) -> tuple[TensorRef, ...] | None:
        """As in `Reading`."""

    @property
    def externals(self) -> tuple[str, ...]:
        """As in `Reading`."""

    @property
    def reach(self) -> int:
        """As in `XmlReading`."""


class _EntitiesDeclared(Exception):  # noqa: N818 - control flow out of a C parser, not an error
    """The document type declares entities: nothing behind it is parsed."""


def read(source: Source, budget: Budget, name: str) -> XmlReading:
    """Parse the document. Raises `InputError` (`not-this-format`) for pictures, web pages and what is no XML."""
    head = source.read(0, CHUNK)
    work = _Work(budget, name)
    gaps: list[Gap] = []
    try:
        work.parse(source)
    except _EntitiesDeclared:
        gaps.append(Gap(code="xml-entities", message="nothing behind the declared entities is parsed"))
    except (expat.ExpatError, ValueError, LookupError) as error:  # pyexpat knows no multi-byte encodings
        if not work.root and not looks_like_xml(head, name):
            raise InputError("not-this-format", "not XML") from None
        gaps.append(Gap(code="bad-xml", message=f"not well-formed: {error}"))
        for fact in _as_text(head):
            work.note(fact)
    if work.root.lower() in ("svg", "html") and not _NAMES.search(name) and not work.grave:
        raise InputError("not-this-format", f"read as {work.root}")
    return work.reading(_kept(head), gaps)


def looks_like_xml(head: bytes, name: str) -> bool:
    """Whether a broken document was meant as XML: by its first characters, or by its name."""
    if _NAMES.search(name):
        return True
    start = head[:256].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return start.startswith((b"<?xml", b"<!DOCTYPE", b"<PMML", b"<net ", _EBCDIC, b"+ADw-"))


_NAMES = late(r"(?i)\.(xml|pmml|xslt?|rdf|urdf|dae|plist)\Z")
_GRAVE = frozenset(
    {"entity-external", "entity-nested", "doctype-external", "include-outside", "stylesheet-remote"}
)


class _Work:
    """One pass of expat."""

    def __init__(self, budget: Budget, name: str) -> None:
        self.budget = budget
        self.name = name
        self.root = ""
        self.encoding = ""
        self.facts: list[xmlmeaning.Fact] = []
        self.dialect: Dialect | None = None
        self._entities = False
        self._depth = self._deepest = 0
        self._dropped = False
        self._open: list[str] = []
        self._parser = parser = expat.ParserCreate(namespace_separator=SEPARATOR)
        parser.buffer_text = True
        parser.buffer_size = 64 * 1024
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EndDoctypeDeclHandler = self._doctype_end
        parser.EntityDeclHandler = self._entity
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartNamespaceDeclHandler = self._namespace

    @property
    def grave(self) -> bool:
        """Whether a parser does harm, whatever program the document is for."""
        return any(fact.code in _GRAVE for fact in self.facts)

    def parse(self, source: Source) -> None:
        for offset in range(0, source.size, CHUNK):
            self.budget.tick()
            piece = source.read(offset, CHUNK)
            self.budget.spend_bytes(len(piece))
            self._parser.Parse(piece, False)
        self._parser.Parse(b"", True)

    def note(self, fact: xmlmeaning.Fact) -> None:
        if len(self.facts) < MAX_FACTS:
            self.facts.append(fact)
        else:
            self._dropped = True

    def _fact(self, code: str, message: str) -> None:
        self.note(xmlmeaning.Fact(code, message, self._parser.CurrentLineNumber))

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        self.encoding = encoding or ""
        if encoding and encoding.lower() not in xmlmeaning.PLAIN_ENCODINGS:
            self._fact("encoding-odd", f"is written in {visible(encoding, 40)}, in which anything could hide")

    def _doctype(self, name: str, system: str | None, public: str | None, internal: int) -> None:
        for code, message in xmlmeaning.doctype(system, public):
            self._fact(code, message)

    def _entity(
        self,
        name: str,
        parameter: int,
        value: str | None,
        base: str | None,
        system: str | None,
        public: str | None,
        notation: str | None,
    ) -> None:
        self._entities = True
        if code := "entity-external" if value is None else _entity_harm(value):
            self._fact(code, _WORDS[code])

    def _doctype_end(self) -> None:
        if self._entities:
            raise _EntitiesDeclared

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > self._deepest:
            self._deepest = self._depth
            if self._depth in (MAX_DEPTH + 1, OVERFLOW_DEPTH + 1):
                code = "deep" if self._depth > OVERFLOW_DEPTH else "deep-doubt"
                self._fact(code, f"elements are nested more than {self._depth - 1} deep")
        space, _, local = name.rpartition(SEPARATOR)
        line = self._parser.CurrentLineNumber
        if not self.root:
            self.root, self.dialect = local, _dialect(local, self.name)
        for code, message in xmlmeaning.schemas(attributes):
            self._fact(code, message)
        for fact in xmlmeaning.element(space, local, attributes, line, root=self.root):
            self.note(fact)
        if self.dialect is not None:
            for fact in self.dialect.start(local, attributes, line):
                self.note(fact)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self.dialect is not None:
            self.dialect.end(name.rpartition(SEPARATOR)[2])

    def _text(self, data: str) -> None:
        if self.dialect is not None:
            for fact in self.dialect.text(data, self._parser.CurrentLineNumber):
                self.note(fact)

    def _namespace(self, prefix: str | None, space: str | None) -> None:
        if message := xmlmeaning.namespace(space or ""):
            self._fact("extension-function", message)

    def _instruction(self, target: str, data: str) -> None:
        for code, message in xmlmeaning.instruction(target, data):
            self._fact(code, message)

    def reading(self, text: str, gaps: list[Gap]) -> XmlReading:
        dialect = self.dialect
        for fact in dialect.close() if dialect else ():
            self.note(fact)
        if self._dropped:
            gaps.append(Gap(code="limit-findings", message=f"only the first {MAX_FACTS} facts were noted"))
        whole = not gaps and dialect is not None
        return XmlReading(
            format=dialect.format if dialect else "xml",
            root=self.root,
            facts=tuple(self.facts),
            text=text,
            encoding=self.encoding,
            gaps=tuple(gaps),
            tensors=dialect.tensors if dialect and whole else None,
            externals=dialect.externals if dialect else (),
            reach=dialect.reach if dialect else 0,
            keep=bool(dialect and dialect.externals),
        )


def _dialect(root: str, name: str) -> Dialect | None:
    if root == "PMML":
        from weighbridge.formats.pmml import Pmml

        return Pmml()
    if root in ("net", "CustomLayer", "CustomLayers"):
        from weighbridge.formats.openvino import Openvino

        return Openvino(name)
    return None


_WORDS = {
    "entity-external": "parsing it reads a file or an address that an entity names",
    "entity-nested": "parsing it unfolds entities that are made of entities",
    "entity-long": "parsing it repeats an entity of great length",
    "doctype": "has a document type, which some parsers fetch",
}


LONG_ENTITY = 4096
"""Characters: whoever writes a few thousand references to a longer one fills the memory (“quadratic blowup”)."""


def _entity_harm(value: str) -> str:
    if len(value) > LONG_ENTITY:
        return "entity-long"
    return "entity-nested" if "&" in re.sub(r"&#\w+;", "", value) or "%" in value else ""


def _as_text(head: bytes) -> Iterator[xmlmeaning.Fact]:
    """The same facts by searching, for documents that expat does not take; each declared encoding is followed."""
    for text in _decodings(head):
        text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
        declared = _ENCODING.match(text)
        if declared and declared[1].lower() not in xmlmeaning.PLAIN_ENCODINGS:
            message = f"is written in {visible(declared[1], 40)}, in which anything could hide"
            yield xmlmeaning.Fact("encoding-odd", message, 1)
        start = _DOCTYPE.search(text)
        if start is None:
            continue
        code = "doctype"
        for found in _ENTITY.finditer(text):
            if harm := "entity-external" if found[1] else _entity_harm(found[2] or found[3] or ""):
                code = harm
                break
        yield xmlmeaning.Fact(code, _WORDS[code], text.count("\n", 0, start.start()) + 1)
        return


def _decodings(head: bytes) -> Iterator[str]:
    """The document as text: as it seems to be written, then in the encoding that it declares."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        yield head.decode("utf-32" if head[:4] == b"\xff\xfe\0\0" else "utf-16", "replace")
    if head.startswith(_EBCDIC):
        yield head.decode("cp037", "replace")
    if b"\0\0\0<" in head[:8] or b"<\0\0\0" in head[:8]:
        yield head.replace(b"\0", b"").decode("latin-1")
    plain = head.replace(b"\0", b"").decode("latin-1").lstrip("\xef\xbb\xbf\xff\xfe")
    yield plain
    declared = _ENCODING.match(plain)
    name = declared[1] if declared else "utf-7" if plain.startswith("+ADw-") else ""
    if name.lower() in _FOLLOWED:
        yield head.decode(name, "replace")


_FOLLOWED = frozenset(
    {
        "utf-7", "utf-32", "utf-32le", "utf-32be", "cp037", "ibm037", "cp500", "ibm500", "cp1140", "ibm1140", "shift_jis",
        "euc-jp", "iso-2022-jp", "gb2312", "gbk", "gb18030", "big5", "euc-kr", "hz",
    }
)  # fmt: skip
"""Encodings that other parsers know and expat does not; a fixed list, since a name from a document loads no codec here."""


def _kept(head: bytes) -> str:
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    return next(_decodings(head)) if wide else head.decode("utf-8", "replace")
