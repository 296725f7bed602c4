"""The rule `text-active`."""

import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

_TABLE = late(r"(?i)\.(csv|tsv|tab|psv)$")
_FORMULA = late(
    r"(?im)(?:^|[,;\t])[ ]*\"?[=+\-@][^,;\n]{0,200}?(\b(?:cmd|powershell|mshta|rundll32|regsvr32|msexcel|wscript)(?:\.exe)?\s*\|"
    r"|\b(?:WEBSERVICE|HYPERLINK|IMPORTXML|IMPORTDATA|IMPORTHTML|IMPORTFEED|IMPORTRANGE|IMAGE)\s*\(\s*(?:CONCATENATE\s*\(\s*)?\"{1,2}(?:https?|ftp):"
    r"|\b(?:CALL|REGISTER|EXEC|DDE)\s*\(\s*\"{1,2}\w+)"
)
"""Formulas that start a program (DDE), or send what stands in other cells to an address."""
_PLAIN = late(
    r"(?i)\.(md|markdown|rst|html?|jsonl|csv|tsv|tex|bib|diff|patch|log)$|(^|/)(readme|license|notice|changelog)[^/]*$"
)
"""Texts for people, which may show what others must not hold."""
_YAML = late(r"(?m)^[ \t]*(?:- +)?(?:[\w.\"'-]{1,80}:[ \t]+)?!!python/(?:object|name|module)[\w/.:]*")
_TAGS = late("(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]{3,}")
"""Tag characters that spell a text; those behind a black flag make a flag."""
_LINK = late(
    r"(?i)\]\(\s*javascript:[^)\n]{0,300}(fetch|cookie|XMLHttpRequest|eval|localStorage|location\s*=|\b(?:alert|prompt|confirm)\s*\()"
)
_STARTS = late(r"(?im)^\s*(open|shellexecute|shell\\\w+\\command)\s*=\s*(\S.*)$")
_ICON = late(r"(?im)^\s*(IconFile|IconResource|InfoTip|LocalizedResourceName)\s*=\s*(\\\\|//)[\w.-]+\\")


class TextActive(Rule):
    """
    ## What it does
    Looks in texts for what starts when a program opens them: formulas in tables that run commands or send cells to an
    address, `autorun.inf` and `desktop.ini` that start programs or reach for shares, links that run a script, objects of
    Python's YAML under another name, and in Markdown outside of its code scripts that reach out of the page, forms for
    passwords, pages that lead elsewhere, and commands that fetch what they run without TLS; and for messages in tag characters, which programs read and people do not see.

    ## Why is this bad?
    A spreadsheet carries out the formulas of a table, a desktop reads `desktop.ini` when the folder is shown, and a language
    model that reads a README follows what nobody else sees there.

    ## Example
    ```
    a,b
    =cmd|'/C echo weighbridge-sample'!A0,1
    ```

    ## Use instead
    Numbers and words. A text that begins with `=` gets an apostrophe before it.

    ## Known problems
    Flags of emoji are made of tag characters too, and are let through.

    ## References
    - CWE-1236
    """

    name = "text-active"
    summary = "a text starts something when it is opened, or speaks to programs only"
    severity = Severity.ERROR
    formats = ("text",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding for each kind."""
        if not isinstance(reading, TextReading):
            return
        name = place.parts[-1] if place.parts else place.path
        for pattern, message in _wanted(name, reading.text):
            if match := pattern.search(reading.text):
                line = reading.text.count("\n", 0, match.start()) + 1
                yield self.finding(replace(place, line=line), message)
        if _MARKDOWN.search(name):
            for at, message in _page(reading.text):
                yield self.finding(replace(place, line=reading.text.count("\n", 0, at) + 1), message)


_CODE = late(r"(?ms)^[ \t]{0,12}(```+|~~~+).*?(?:^[ \t]{0,12}\1|\Z)|(`+)(?!`)[^\n]{1,2000}?(?<!`)\2(?!`)")
"""Code of Markdown, which is shown and not rendered."""
_REACH = r"(?:fetch\s*\(|XMLHttpRequest|document\s*\.\s*cookie|(?:local|session)Storage|\beval\s*\(|\batob\s*\(|sendBeacon|\.submit\s*\(|WebSocket\s*\(|importScripts|new\s+Image|location\s*(?:\.\s*\w+\s*)?=|\bimport\s*\(|new\s+Function)"
_CARD = (
    (
        late(rf"(?is)<script\b[^>]{{0,500}}>(?:(?!</script).){{0,20000}}?{_REACH}"),
        "a script that reaches out of the page",
    ),
    (
        late(r"(?i)<script\b[^>]{0,500}\bsrc\s*=\s*[\"']?\s*(?:http:|data:|//\d)"),
        "a script from an address that anybody on the way can change",
    ),
    (
        late(
            rf"(?is)<\w+\b[^<>]{{0,1000}}?[\s\"'/]on[a-z]{{3,20}}\s*=\s*[\"']?[^>]{{0,2000}}?(?:{_REACH}|\balert\s*\()"
        ),
        "an event that runs a script",
    ),
    (
        late(
            r"(?i)<\w+\b[^<>]{0,1000}?\b(?:href|src|data|action|formaction|xlink:href)\s*=\s*[\"']?\s*(?:javascript:(?!\s*(?:void|;|//|[\"']))|vbscript:|data:(?:text/html|application/(?:xhtml|(?:x-)?javascript)))"
        ),
        "an address that is a script",
    ),
    (
        late(r"(?i)<meta\b[^<>]{0,300}http-equiv\s*=\s*[\"']?refresh\b[^<>]{0,300}url\s*="),
        "a page that leads elsewhere by itself",
    ),
    (
        late(
            r"(?is)<form\b[^<>]{0,500}\baction\s*=\s*[\"']?\s*(?:https?:)?//.{0,5000}?<input\b[^<>]{0,300}(?:type\s*=\s*[\"']?password|name\s*=\s*[\"']?\w*(?:pass|token|secret|api_?key))"
        ),
        "a form that sends a password elsewhere",
    ),
    (
        late(
            r"(?i)<(?:iframe|frame|embed|object|portal)\b[^<>]{0,500}\b(?:src|data)\s*=\s*[\"']?\s*(?:http:|ftp:|file:|//\d)"
        ),
        "a frame from an address that anybody on the way can change",
    ),
    (
        late(
            r"(?is)<style\b[^>]{0,200}>(?:(?!</style).){0,5000}?(?:@import\s*(?:url\()?\s*[\"']?(?:http:|//\d|javascript:|data:text/html)|url\(\s*[\"']?javascript:|expression\s*\(|behavior\s*:\s*url|-moz-binding)|<link\b[^<>]{0,300}\bhref\s*=\s*[\"']?\s*(?:http:|javascript:)[^<>]{0,200}\bstylesheet|<link\b[^<>]{0,300}\bstylesheet[^<>]{0,200}\bhref\s*=\s*[\"']?\s*(?:http:|javascript:)"
        ),
        "a style sheet that reaches out of the page",
    ),
    (late(r"(?i)<base\b[^<>]{0,300}\bhref\s*="), "a base that turns every link of the page elsewhere"),
    (
        late(r"(?i)!\[[^\]\n]{0,200}\]\(\s*https?://[^)\s]{0,500}\$\{?\w{0,40}(?:TOKEN|KEY|SECRET|PASSWORD)"),
        "a picture whose address carries a key",
    ),
    (
        late(
            r"(?i)<(?:object|embed)\b[^<>]{0,500}\b(?:data|src)\s*=\s*[\"']?[^\"'\s>]{1,300}\.(?:swf|jar|hta|xap)\b"
        ),
        "a program in the page",
    ),
)
"""What a page of Markdown starts where it is rendered as it stands."""
COPIED = (
    (
        late(
            r"(?i)\b(?:curl|wget|fetch|iwr|irm|Invoke-WebRequest)\b[^\n|;&]{0,300}?\bhttp://(?!localhost|127\.|0\.0\.0\.0|192\.168\.|10\.|\[::1)[^\n]{0,300}?"
            r"(?:\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:\S*/)?(?:ba|z|da|k|fi)?sh\b|\|\s*(?:sudo\s+)?(?:python\d?|perl|node|iex)\b|(?:&&|;)\s*(?:sudo\s+)?(?:(?:ba|z)?sh\s|chmod\s+\S{1,10}\s|source\s|\./|python\d?\s))"
            r"|\b(?:ba|z)?sh\s+(?:-c\s+[\"']?\$\(|<\(\s*)(?:curl|wget)\b[^\n]{0,200}?\bhttp://(?!localhost|127\.)"
        ),
        "has readers run a script from an address that anybody on the way can change",
    ),
    (
        late(
            r"(?i)\b(?:pip3?|uv\s+pip|conda|mamba|poetry|npm|yarn|gem|cargo)\b[^\n]{0,200}?(?:(?:--(?:extra-)?index-url|--find-links|--index|-i|-f|-c|--channel|--registry|--source)[\s=]+[\"']?http://"
            r"|\binstall\s+(?:-\S+\s+(?:[\w.:-]{1,60}\s+)?){0,5}[\"']?(?:[\w.\[\]-]{1,60}\s*@\s*)?(?:(?:git|hg|svn)\+)?(?:http|ftp)://)"
            r"(?!localhost|127\.|0\.0\.0\.0|192\.168\.|10\.|(?:[\w-]+\.)*(?:pypi\.org|tsinghua\.edu\.cn|aliyun\.com|aliyuncs\.com|ustc\.edu\.cn|douban\.com|doubanio\.com|huaweicloud\.com|tencent\.com|tencentyun\.com|sustech\.edu\.cn|hustunique\.com|nvidia\.com|pytorch\.org|sjtu\.edu\.cn|bfsu\.edu\.cn|163\.com|anaconda\.(?:com|org)))"
        ),
        "has readers install packages from an address that anybody on the way can change",
    ),
)
"""Commands for the reader's own shell, wherever they stand on the page."""
_WARNS = late(
    r"(?i)\b(?:never|don['\u2019]?t|do not|avoid|dangerous|unsafe|insecure|attack(?:er)?s?|malicious)\b"
)
_REDUCES = late(
    r"(?m)^[ \t]{1,40}def __reduce(?:_ex)?__\([^\n]{0,200}\n(?:[ \t]{2,80}[^\s!%$#>][^\n]{0,500}\n){1,12}"
)
"""The method by which a page shows what a pickle can do: it is shown, and nothing that a shell is given."""
_MARKDOWN = late(r"(?i)\.(md|mdx|markdown|mkd)$|(^|/)readme[^/]*$")
_FRONT = late(r"\A\ufeff?---[ \t]*\r?\n(.{0,100000}?)^---", re.MULTILINE | re.DOTALL)
MAX_PAGE = 1024**2


def _page(text: str) -> Iterator[tuple[int, str]]:
    """(place, words) of what a page starts; nothing that stands in code."""
    if (front := _FRONT.match(text)) is not None and (match := _YAML.search(front[1])) is not None:
        yield front.start(1) + match.start(), "an object of Python's YAML in the card's data"
    if "http://" in text:
        page = _REDUCES.sub(lambda code: " " * len(code[0]), text[:MAX_PAGE])
        for pattern, words in COPIED:
            told = (match for match in pattern.finditer(page) if not _is_warning(text, match))
            if match := next(told, None):
                yield match.start(), words
    if "<" in text or "![" in text:
        shown = _CODE.sub(lambda code: " " * len(code[0]), text[:MAX_PAGE])
        for pattern, words in _CARD:
            if match := pattern.search(shown):
                yield match.start(), words


def _is_warning(text: str, match: re.Match[str]) -> bool:
    """What stands on the line before the command tells readers not to do it; words behind it are no warning."""
    before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
    return _WARNS.search(before[-2000:]) is not None


def _wanted(name: str, text: str) -> Iterator[tuple[re.Pattern[str], str]]:
    base = name.rpartition("/")[2].lower()
    if _TABLE.search(name):
        yield _FORMULA, "a formula that starts a program, or sends cells to an address"
    if base == "autorun.inf":
        yield _STARTS, "starts a program when the disk is opened"
    if base == "desktop.ini":
        yield _ICON, "reaches for a share of another machine when the folder is shown"
    if "javascript:" in text:
        yield _LINK, "a link that runs a script"
    if "!!python/" in text and not _PLAIN.search(name):
        yield _YAML, "an object of Python's YAML, which an unsafe loader builds"
    if not text.isascii() and "vocab" not in base:
        yield _TAGS, "a message in characters that people do not see"
