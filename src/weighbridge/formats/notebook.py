"""Jupyter notebooks (nbformat 3 and 4): cells as Python parts, magics, and outputs that are more than text.

Magics are taken out of the cells, line for line, so that the rest parses and lines stay where they are. Nothing is
rendered. Opening a notebook runs no cell; the rules know that.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource, Source
from weighbridge.core.value import dataclass
from weighbridge.formats import json as json_format
from weighbridge.formats.reading import Gap, Part, Reading

MAX_CELLS = 20_000
_MAGIC = late(r"^(?P<indent>\s*)(?P<target>[\w.,\s\[\]'\"]+=\s*)?(?P<magic>%{1,2}|!{1,2}|\?)(?P<text>.*)$")
_HELP = late(r"^\s*[\w.]+\?{1,2}\s*$")
_PYTHON_CELLS = frozenset(("time", "timeit", "capture", "prun", "python", "python3", "pypy"))
"""Cell magics whose body is still Python."""
ACTIVE_HTML = late(
    r"(?i)<\s*(script|iframe|object|embed|base|form)\b|<meta[^>]{0,200}http-equiv\s*=\s*"
    r"(?![\"']?(?:content-type|content-language|cache-control|expires|pragma|x-ua-compatible)[\"'\s])|[\s\"'/]on[a-z]{3,20}\s*=|javascript\s*:"
)
_TAKES = late(
    r"(?i)document\.cookie|navigator\.sendBeacon\s*\(\s*[\"'`]https?:|kernel\.execute\s*\(\s*[\"'`]|WScript\.|ActiveXObject"
    r"|eval\s*\(\s*(atob|unescape|decodeURIComponent|String\.fromCharCode)|href\s*=\s*[\"']\s*vbscript\s*:"
    r"|href\s*=\s*[\"']\s*javascript\s*:[^\"']{0,300}(fetch|eval|atob|cookie|location|import)\b|require\(\s*[\"']child_process"
)
"""What scripts of a page do that takes something, or runs something; plots do none of it."""
_SMALL_TAKES = late(
    r"(?i)XMLHttpRequest|\bfetch\s*\(\s*[\"'`](https?:)?//|new\s+WebSocket|\.execute\s*\("
    r"|(window|document|top|self)\.location(\.href)?\s*=\s*[\"'`]?(https?:|data:|javascript:)|location\.(replace|assign)\s*\(\s*[\"'`]"
    r"|new\s+Image\s*\(\s*\)\s*\.src\s*=|<meta[^>]{0,100}http-equiv\s*=\s*[\"']?refresh[^>]{0,100}url\s*=\s*[\"']?(https?:|data:|javascript:)"
    r"|<form[^>]{0,200}action\s*=\s*[\"']?https?:|on(error|load)\s*=\s*[\"']?[^\"'>]{0,200}(eval|fetch|location)\b"
    r"|(?:<script[^>]{0,200}>|[\s\"'/]on[a-z]{3,20}\s*=\s*[\"']?|javascript\s*:|\A)\s*(?:<!\[CDATA\[\s*)?(?:window\s*\.\s*)?(?:alert|prompt|confirm)\s*\("
)
"""What plotting libraries have in their hundreds of kilobytes too, and a page without one has no need of."""
SMALL = 20_000
_SHOWS = late(
    r"\b(Javascript|HTML|SVG|IFrame|display_(?:javascript|html|svg)|publish_display_data|_repr_(?:html|javascript)_)\s*\(|text/html|application/javascript"
)
_CODE_TAKES = late(
    r"(?i)document\.cookie|navigator\.sendBeacon\s*\(|\bfetch\s*\(\s*(?:\\?[\"'`]){1,2}(?:https?:)?//|\.open\s*\(\s*\\?[\"'`](?:GET|POST)\\?[\"'`]\s*,\s*\\?[\"'`](?:https?:)?//"
    r"|new\s+WebSocket\s*\(\s*\\?[\"'`]wss?:|eval\s*\(\s*(?:atob|unescape|String\.fromCharCode)|require\(\s*\\?[\"']child_process|ActiveXObject|WScript\."
    r"|new\s+Image\s*\(\s*\)\s*\.src\s*=|<form[^>]{0,200}action\s*=\s*\\?[\"']?https?:|IFrame\(\s*(?:src\s*=\s*)?[\"'](?:http:|javascript:|data:text/html|file:)|<script[^>]{0,200}\bsrc\s*=\s*\\?[\"']?(?:http:|data:|//\d)"
    r"|<iframe[^>]{0,300}\bsrc(?:doc)?\s*=\s*\\?[\"']?\s*(?:http:|javascript:|data:|<script)|<meta[^>]{0,100}http-equiv\s*=\s*\\?[\"']?refresh[^>]{0,100}url\s*=|on(?:error|load)\s*=\s*\\?[\"']?[^>]{0,200}?(?:eval|fetch|location|cookie)"
    r"|href\s*=\s*\\?[\"']\s*(?:javascript|vbscript):[^\"']{0,300}(?:fetch|eval|atob|cookie|location)"
)
"""What a page that a cell's own code shows must not do, in a text of Python."""
_ACTIVE_TYPES = frozenset(("application/javascript", "text/javascript", "application/x-javascript"))


def taken(text: str) -> str:
    """What an active document reaches for, as it stands in it; "" where it only draws."""
    match = _TAKES.search(text) or (_SMALL_TAKES.search(text) if len(text) < SMALL else None)
    return match[0] if match else ""


def reaches_out(text: str) -> str:
    """What a page that a cell makes does outside of itself, as it stands in the cell; "" for nothing."""
    match = _CODE_TAKES.search(text)
    return match[0].strip() if match else ""


class Magic(NamedTuple):
    """One magic or shell line."""

    cell: int
    line: int
    text: str
    """As written: `!pip install x`, `%load_ext y`, `%%bash`."""
    body: str = ""
    """What stands below a cell magic whose body is not Python."""


class Output(NamedTuple):
    """One output that a browser would run."""

    cell: int
    kind: str
    """Its media type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookReading(Reading):
    """One notebook."""

    text: str
    cells: int
    language: str
    magics: tuple[Magic, ...] = ()
    outputs: tuple[Output, ...] = ()
    taking: tuple[tuple[int, str], ...] = ()
    """(cell, what its active output reaches for)."""


def read(source: Source, budget: Budget, name: str) -> NotebookReading:
    """Read the cells. Raises `InputError` (`bad-json`, `bad-notebook`)."""
    document = json_format.read(source, budget, name if name.endswith(".json") else f"{name}.json")
    cells = list(_cells(document.value))
    if len(cells) > MAX_CELLS:
        raise InputError("bad-notebook", f"{len(cells)} cells, limit {MAX_CELLS}")
    language = _language(document.value)
    magics: list[Magic] = []
    parts: list[Part] = []
    for number, cell in enumerate(cells, 1):
        budget.spend_members()
        if cell.get("cell_type") == "code":
            code, found = split_magics(_text(cell.get("source", cell.get("input"))), number)
            magics += found
            if code.strip() and language == "python":
                source_part = MemorySource(code.encode("utf-8", "surrogatepass"))
                parts.append(Part(name=f"cell {number}", source=source_part, kind="python"))
    gap = Gap(code="notebook-language", message=f"cells in {language!r} are not read")
    return NotebookReading(
        format="notebook",
        text=document.text,
        cells=len(cells),
        language=language,
        magics=tuple(magics),
        outputs=tuple(_outputs(cells)),
        taking=tuple(_taking(cells)),
        parts=tuple(parts),
        anomalies=document.anomalies,
        gaps=() if language == "python" else (gap,),
    )


def _cells(value: Any) -> Iterator[dict[str, Any]]:
    sheets = value.get("worksheets", [value]) if isinstance(value, dict) else None
    if not isinstance(sheets, list) or not isinstance(value.get("nbformat"), int):
        raise InputError("bad-notebook", "no notebook: it has no nbformat")
    for sheet in sheets:
        cells = sheet.get("cells") if isinstance(sheet, dict) else None
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise InputError("bad-notebook", "no notebook: its cells are not a list of objects")
        yield from cells


def _language(value: dict[str, Any]) -> str:
    metadata = value.get("metadata")
    info = metadata if isinstance(metadata, dict) else {}
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        inner = info.get(key)
        language = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(language, str) and language:
            return "python" if language.lower() in ("python", "python3", "ipython") else language[:40]
    return "python"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(item for item in value if isinstance(item, str))
    return value if isinstance(value, str) else ""


def split_magics(code: str, cell: int) -> tuple[str, list[Magic]]:
    """The cell's Python with `pass` where magics stood, and the magics."""
    lines = code.splitlines()
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    head = lines[first].strip() if lines else ""
    if head.startswith("%%"):
        magic = head[2:].split(maxsplit=1)[0] if head[2:].strip() else ""
        if magic not in _PYTHON_CELLS:
            return "", [Magic(cell, first + 1, head[:300], "\n".join(lines[first + 1 :])[:20_000])]
        lines[first] = ""
    found: list[Magic] = []
    kept: list[str] = []
    inside = False
    for number, line in enumerate(lines, 1):
        match = None if inside else _MAGIC.match(line)
        if match and _is_magic(match):
            found.append(Magic(cell, number, line.strip()[:300]))
            kept.append(f"{match['indent']}{match['target'] or ''}{'None' if match['target'] else 'pass'}")
        else:
            kept.append("pass" if _HELP.match(line) and not inside else line)
            inside = inside ^ (line.count('"""') % 2 == 1 or line.count("'''") % 2 == 1)
    return "\n".join(kept) + "\n", found


def _is_magic(match: re.Match[str]) -> bool:
    """`x = y % z` continued on a line that begins with `%` is none; `%name` and `!command` are."""
    if match["target"] and "=" in match["target"].rstrip()[:-1]:
        return False
    return bool(match["magic"][0] in "!?" or re.match(r"[A-Za-z_]", match["text"]))


def _outputs(cells: list[dict[str, Any]]) -> Iterator[Output]:
    for number, kind, _ in _active(cells):
        yield Output(number, kind)


def _taking(cells: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    for number, _, text in _active(cells):
        if what := taken(text):
            yield number, what.strip()[:60]
    for number, cell in enumerate(cells, 1):
        code = _text(cell.get("source", cell.get("input"))) if cell.get("cell_type") == "code" else ""
        if _SHOWS.search(code) and (match := _CODE_TAKES.search(code)):
            yield number, match[0].strip()[:60]


def _active(cells: list[dict[str, Any]]) -> Iterator[tuple[int, str, str]]:
    """(cell, media type, text) of everything that a browser would run."""
    for number, cell in enumerate(cells, 1):
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else []:
            data = output.get("data", output) if isinstance(output, dict) else {}
            for kind, content in data.items() if isinstance(data, dict) else []:
                text = _text(content)
                if kind in _ACTIVE_TYPES or (
                    kind in ("text/html", "image/svg+xml", "html", "svg") and ACTIVE_HTML.search(text)
                ):
                    yield number, str(kind), text
        attachments = cell.get("attachments")
        text = _text(cell.get("source"))
        if cell.get("cell_type") in ("markdown", "raw", "heading") and ACTIVE_HTML.search(text):
            yield number, str(cell["cell_type"]), text
        for kinds in attachments.values() if isinstance(attachments, dict) else []:
            for kind in kinds if isinstance(kinds, dict) else []:
                if kind in _ACTIVE_TYPES or kind in ("text/html", "image/svg+xml"):
                    yield number, str(kind), ""
