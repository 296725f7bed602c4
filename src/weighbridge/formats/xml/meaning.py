"""What XML vocabularies mean to the programs that read them: the parts that fetch, run, or make objects.

Only names and attributes are looked at, by namespace where the vocabulary has one. Whoever reads a document decides
which vocabulary it is in, so that each is looked for in every document.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from weighbridge.core.pattern import late
from weighbridge.core.text import visible

PLAIN_ENCODINGS = frozenset(
    {
        "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso8859-1", "latin1", "latin-1", "iso-8859-15",
        "utf-16", "utf-16le", "utf-16be", "windows-1252", "cp1252",
    }
)  # fmt: skip
"""What every parser knows and reads in one way."""

XINCLUDE = late(r"http://www\.w3\.org/(2001|2003)/XInclude\Z")
XSLT = "http://www.w3.org/1999/XSL/Transform"
XHTML = "http://www.w3.org/1999/xhtml"
_RUNS = late(
    r"xalan://|http://xml\.apache\.org/(xalan|xslt)/(java|.*\bredirect)|http://xml\.apache\.org/xslt\b"
    r"|http://icl\.com/saxon\b|java(script)?:|http://www\.oracle\.com/XSL/Transform/java|clitype:|http://php\.net/xsl"
    r"|urn:schemas-microsoft-com:xslt|http://exslt\.org/(common|functions)#?document|clr-namespace:System\.(Diagnostics|IO)"
)
"""Namespaces whose functions and elements are methods of the processor's own language."""
_SCRIPTS = frozenset({"script", "scriptlet"})
_REMOTE = late(r"(?i)\s*([a-z][a-z0-9+.-]*:|//|\\\\)")
_APPLE = ("-//Apple//DTD PLIST 1.0//EN", "-//Apple Computer//DTD PLIST 1.0//EN")
_KNOWN_DTD = late(
    r"https?://(www\.)?(w3\.org|apple\.com|dmg\.org|oasis-open\.org|docbook\.org|java\.sun\.com|mybatis\.org|netbeans\.org"
    r"|xml\.apache\.org|jboss\.org|hibernate\.org|springframework\.org)/[^?#]*\Z"
)
_SCHEMA_KEYS = tuple(
    f"http://www.w3.org/2001/XMLSchema-instance\n{name}"
    for name in ("schemaLocation", "noNamespaceSchemaLocation")
)
"""As the parser gives them: namespace, line end, name."""
_KNOWN_SCHEMA = late(
    r"https?://([\w-]+\.)*(w3\.org|dmg\.org|apache\.org|oasis-open\.org|knime\.(org|com)|jpmml\.org|ibm\.com|sas\.com|spss\.com|zementis\.com|openvino\.ai|xmlsoap\.org)[/:]"
)


def schemas(attributes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What a validating parser fetches because of a schema's address; (code, message)."""
    for key in _SCHEMA_KEYS:
        words = attributes.get(key, "").split()
        for place in words[1::2] if key == _SCHEMA_KEYS[0] and len(words) > 1 else words:
            shown = visible(place, 200)
            if place.startswith(("/", "\\\\", "..")) or place.lower().startswith(
                ("file:", "jar:", "ftp:", "gopher:")
            ):
                yield "schema-outside", f'a validating parser opens "{shown}" for its schema'
            elif _REMOTE.match(place) and not _KNOWN_SCHEMA.match(place):
                yield "schema-remote", f'a validating parser fetches its schema from "{shown}"'


_OBJECTS = late(
    r"java\.lang\.(Runtime|ProcessBuilder|ClassLoader|reflect|System)|javax\.(script|naming)|java\.(io\.File|net|nio|rmi)"
    r"|ObjectDataProvider|System\.Diagnostics|org\.mozilla\.javascript|groovy\.|ScriptEngine|sun\.(misc|reflect)"
)
CODE = late(
    r"Runtime\.getRuntime\s*\(|ProcessBuilder\b|java\.lang\.(Runtime|System)|javax\.script|ScriptEngine|\bos\.(system|popen|exec\w*)\b"
    r"|\bsubprocess\b|__import__|\b(eval|exec|execfile|compile)\s*\(|<script|javascript:|/bin/(ba|z|da)?sh\b|\bcmd(\.exe)?\s+/c"
    r"|(?i:\bpowershell\b)|\$\{(jndi|script):|importlib|new\s+Function\s*\("
)
"""Programs, as they stand in attributes and texts of documents that should hold none."""
_EVENT = late(r"on(load|error|click|mouseover|focus|begin|message|unload)\Z")


class Fact(NamedTuple):
    """One thing that the document says."""

    code: str
    """Kebab-case; which rule speaks of it, and how bad it is, is the rules' business."""
    message: str
    line: int


def doctype(system: str | None, public: str | None) -> Iterator[tuple[str, str]]:
    """What a document type's own address means; (code, message)."""
    if public in _APPLE and _KNOWN_DTD.match(system or ""):
        return
    if (
        system
        and not _KNOWN_DTD.match(system)
        and (_REMOTE.match(system) or system.startswith(("/", "..", "\\")))
    ):
        yield "doctype-external", f'parsing it fetches its document type from "{visible(system, 200)}"'
    else:
        yield "doctype", "has a document type, which some parsers fetch"


def instruction(target: str, data: str) -> Iterator[tuple[str, str]]:
    """What a processing instruction makes a program do; (code, message)."""
    if target.lower() == "xml-stylesheet":
        found = re.search(r"""\bhref\s*=\s*["']([^"']*)""", data)
        href = found[1] if found else ""
        if _REMOTE.match(href) or href.startswith(("/", "..")):
            yield "stylesheet-remote", f'opening it fetches and runs the stylesheet "{visible(href, 200)}"'
        else:
            yield "stylesheet", f'opening it runs the stylesheet "{visible(href, 200)}"'
    elif target.lower() in ("php", "=", "jsp", "asp", "import", "python", "perl"):
        yield "script", f'an instruction holds a program for "{visible(target, 40)}"'


def namespace(space: str) -> str:
    """What declaring a namespace gives to a document's expressions; "" for nothing."""
    if _LANGUAGES.match(space):
        return f'its expressions may call methods of "{visible(space, 200)}"'
    return ""


_LANGUAGES = late(
    r"xalan://|http://xml\.apache\.org/(xalan|xslt)/java|http://www\.oracle\.com/XSL/Transform/java|clitype:|java:"
    r"|http://php\.net/xsl|clr-namespace:System\.(Diagnostics|IO)"
)


def element(space: str, name: str, attributes: Mapping[str, str], line: int, *, root: str) -> Iterator[Fact]:
    """What an element makes a reader of its vocabulary do."""
    if XINCLUDE.match(space) and name == "include":
        yield _include(attributes.get("href", ""), line)
    if space == XSLT:
        yield from _transform(name, attributes, line)
    elif _RUNS.match(space):
        yield Fact(
            "extension-function", f'"{visible(name, 80)}" is a method of the processor\'s own language', line
        )
    elif name.lower() in _SCRIPTS:
        yield Fact("script", f'carries a program in "{visible(name, 40)}"', line)
    if space == XHTML and any(_EVENT.match(key) for key in attributes):
        yield Fact("script", "carries a program in an event's attribute", line)
    if root in _OBJECT_READERS:
        yield from _object(root, name, attributes, line)


_OBJECT_READERS = {
    "java": "java.beans.XMLDecoder",
    "beans": "Spring",
    "ResourceDictionary": "XAML",
    "Project": "MSBuild",
    "project": "Ant",
    "sorted-set": "XStream",
    "dynamic-proxy": "XStream",
    "map": "XStream",
    "methodCall": "XML-RPC",
}
"""Root element → the reader that makes whatever the document names."""


def _object(root: str, name: str, attributes: Mapping[str, str], line: int) -> Iterator[Fact]:
    values = " ".join(attributes.values())
    reader = _OBJECT_READERS[root]
    if _OBJECTS.search(values) or _OBJECTS.search(name):
        yield Fact("object", f"{reader} makes an object that reaches the system for it", line)
    elif name == root == "java" and "XMLDecoder" in values:
        yield Fact("object", "java.beans.XMLDecoder calls whatever methods it names", line)
    elif (root, name) in _TASKS or (root == "Project" and name == "UsingTask"):
        yield Fact("object", f"{reader} runs a command or loads a library for it", line)


_TASKS = frozenset(
    {
        ("Project", "Exec"),
        ("project", "exec"),
        ("project", "java"),
        ("project", "script"),
        ("project", "apply"),
    }
)


def _include(href: str, line: int) -> Fact:
    if _REMOTE.match(href) or href.startswith(("/", "\\")) or ".." in href.replace("\\", "/").split("/"):
        return Fact(
            "include-outside", f'parsing it takes in the file or address "{visible(href, 200)}"', line
        )
    return Fact("include", f'parsing it takes in "{visible(href, 200)}"', line)


def _transform(name: str, attributes: Mapping[str, str], line: int) -> Iterator[Fact]:
    """A stylesheet's own elements; the language computes, and these are its ways out."""
    if name in ("stylesheet", "transform"):
        yield Fact("transform", "is a stylesheet, a program that makes documents", line)
    elif name in ("script", "evaluate"):
        yield Fact("script", f'carries a program in "xsl:{name}"', line)
    elif name in ("document", "result-document"):
        yield Fact("extension-function", f"xsl:{name} writes a file", line)
    elif name in ("include", "import") and (href := attributes.get("href")):
        yield _include(href, line)
    for value in attributes.values():
        if re.search(r"\b(document|unparsed-text|doc)\s*\(\s*['\"]", value):
            yield Fact("include-outside", "the stylesheet reads other files or addresses", line)
        elif re.search(r"\b(system-property\s*\(|\w+:(getRuntime|exec|new|function(String)?)\s*\()", value):
            yield Fact(
                "extension-function", "the stylesheet calls a function of the processor's own language", line
            )
