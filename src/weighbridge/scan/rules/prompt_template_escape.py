r"""The rule `prompt-template-escape`."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path
from weighbridge.formats.reading import Reading
from weighbridge.scan.orders import against_user
from weighbridge.scan.rule import Rule

_DUNDER = r"__(?:class|mro|base|bases|globals|subclasses|builtins|init|import|dict|getattribute|code|func|self|reduce|reduce_ex|module|closure|wrapped)__"
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "reaches for Python's inside",
        late(
            rf"\{{[\w!]{{0,60}}[.\[][^{{}}\n]{{0,500}}?{_DUNDER}|\{{[{{%][^{{}};]{{0,2000}}?(?:{_DUNDER}|\\x5f\\x5f|\|\s*attr\s*\()"
        ),
    ),
    (
        "reaches for JavaScript's inside",
        late(
            r"\{\{[^{}]{0,500}?(?:\bconstructor\b|__proto__|__defineGetter__|__defineSetter__|__lookupGetter__|\bprototype\b|\bmainModule\b|child_process)"
        ),
    ),
    (
        "runs a program",
        late(
            r"<%[^%]{0,2000}?(?:`[^`\n]{1,300}`|%x[\[({]|\b(?:system|exec|spawn|popen|eval|instance_eval|Open3|Kernel|IO\.|File\.|require|child_process|mainModule|process\.(?:env|binding|exit)|__import__|import\s+(?:os|subprocess|sys|socket)|os\.|subprocess\.)\b)"
            r"|<%!?\s*import\s+(?:os|subprocess|sys|socket|pty)\b|<\?(?:php|=)[^?]{0,2000}?\b(?:system|exec|shell_exec|passthru|eval|popen|proc_open|assert|file_get_contents)\s*\("
            r"|<#assign[^>]{0,300}\?new\(\)|freemarker\.template\.utility\.(?:Execute|ObjectConstructor|JythonRuntime)|#set\s*\([^)]{0,300}(?:getClass|forName|\.class\b)"
            r"|\{(?:php|system|exec|passthru)\b[^}]{0,200}\}|\{\{\s*(?:exec|shell|system|readFile|env\s+\"\w*(?:KEY|TOKEN|SECRET))\b"
            r"|\{\{\s*_self\.env|\|\s*(?:map|filter|sort|reduce)\s*\(\s*[\"'](?:system|exec|passthru|shell_exec|popen)|\{%\s*import\s+(?:os|subprocess|sys|socket)\s*%\}|\{%\s*raw\s+__import__|\{\{\s*__import__"
            r"|[$#]\{[^{}\n]{0,300}?(?:T\s*\(\s*java|getClass\s*\(|getRuntime|__import__|os\.(?:system|popen)|subprocess|self\.module|\.class\.forName|ProcessBuilder|new\s+java\.|exec\s*\(|`)"
            r"|%\{[^{}\n]{0,300}?(?:getRuntime|ProcessBuilder|ognl)|#\{[^{}\n]{0,100}?(?:`[^`]{1,200}`|global\.process|root\.process|process\.mainModule)"
            r"|@\(?\s*System\.Diagnostics\.Process|\*\{\s*T\(|\$\{\s*jndi:|\$\!?\{?\w{1,40}\.(?:getClass\s*\(|class\.)|<th:block[^>]{0,200}T\(java"
        ),
    ),
    (
        "reads files of the system",
        late(
            r"\{[{%][-~]?\s*(?:include|import|extends|ssi|render|source|partial)\s*\(?\s*[\"'](?:/|~|[A-Za-z]:[\\/]|file:|https?:|\.\./\.\./|\\\\)|\{\{[#>]{1,2}\s*(?:\.\./\.\./|/etc/|https?:)|<%[-=]?\s*include\s*\(?\s*[\"'](?:/|\.\./\.\./)|#(?:include|parse)\s*\(\s*[\"'](?:/|\.\./)|<#(?:include|import)\s+[\"'](?:/|\.\./|https?:)|<!--#(?:exec|include)\b|\{include\s+file\s*=\s*[\"']?(?:/|\.\./\.\./|https?:)"
        ),
    ),
)
_FILES = late(
    r"(?i)\.(prompt|prompty|hbs|handlebars|mustache|erb|ejs|eex|tmpl|tpl|gotmpl|gohtml|liquid|vm|vtl|ftl|ftlh|mako|mak|njk|nunjucks|twig|cshtml|pug|jade|haml|slim|template|jinja\w*|j2|st|thtml)(\.txt|\.md|\.html?)?$"
    r"|(^|/)(prompts?|templates?|prompt_templates?)/[^/]+\.(txt|md|html?|xml)$|(^|/)[\w.-]*(prompt|template)[\w.-]*\.(txt|md|tmpl)$|(^|/)modelfile([.-][^/]*)?$",
    needs=(
        "prompt", "template", "modelfile", ".hbs", ".handlebars", ".mustache", ".erb", ".ejs", ".eex", ".tmpl", ".tpl", ".gotmpl", ".gohtml", ".liquid", ".vm",
        ".vtl", ".ftl", ".mak", ".njk", ".nunjucks", ".twig", ".cshtml", ".pug", ".jade", ".haml", ".slim", ".jinja", ".j2", ".st", ".thtml",
    ),
)  # fmt: skip
"""Texts that some program renders."""
_KEYS = late(
    r"(?i)(template|prompt|format|message|system|instruction|prefix|suffix|human|assistant|persona|preamble|greeting|content|text)s?(_?(str|string|text|template|format|message|prompt))?\Z"
)
_PROMPTS = late(r"(?i)prompt|template|persona|system|agent|langchain|chain|dialog|chat|skill|config")
MAX_TEXT = 1024**2
MAX_JINJA = 64 * 1024
MAX_OBJECTS = 20_000


class PromptTemplateEscape(Rule):
    r"""
    ## What it does
    Looks at prompts and templates that are no Jinja chat templates: fields of Python's `str.format` (`{x.__class__}`),
    Handlebars and Mustache, ERB and EJS, Mako, Tornado, Go's templates, Liquid, FreeMarker, Velocity, Twig, Smarty, Spring's
    expressions; in files by the names that such templates have, and in the values of configs of prompts. Also for prompts in
    configs that give the model orders against its user.

    ## Why is this bad?
    A prompt is rendered for every question. One that reaches from a value to its class, its constructor or the system runs
    code, or shows what the program keeps in its memory.

    ## Example
    ```json
    {"_type": "prompt", "template_format": "f-string", "template": "{x.__class__.__init__.__globals__}"}
    ```

    ## Use instead
    Plain names of fields: `{question}`.

    ## Known problems
    A prompt that shows such code to the model between the same brackets is reported too.

    ## References
    - CWE-1336
    """

    name = "prompt-template-escape"
    summary = "a prompt reaches for the inside of the program that renders it"
    severity = Severity.ERROR
    since = "0.1"
    formats = ("text", "html", "json", "yaml", "script")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """The first of each kind."""
        name = place.parts[-1] if place.parts else place.path
        if isinstance(reading, JsonReading):
            yield from self._document(reading, place, name)
        elif _FILES.search(name):
            text: str = getattr(reading, "text", "")[:MAX_TEXT]
            for what, at in _told(text):
                yield self.finding(replace(place, line=text.count("\n", 0, at) + 1), f"rendering it {what}")
            if ("{{" in text or "{%" in text) and len(text) <= MAX_JINJA:
                yield from self._jinja(text, place)

    def _document(self, reading: JsonReading, place: Place, name: str) -> Iterator[Finding]:
        if isinstance(reading.value, list):
            return
        for path, value in islice(_prompts(reading, name), MAX_OBJECTS):
            where = replace(place, line=1)
            for what, _ in _told(value):
                where = replace(place, line=reading.line(path))
                yield self.finding(where, f'rendering "{path[-1]}" {what}')
                return
            if ("{{" in value or "{%" in value) and len(value) <= MAX_JINJA:
                for found in self._jinja(value, place):
                    yield replace(found, place=replace(place, line=reading.line(path)))
                    return
            order, _ = against_user(value)
            if order:
                where = replace(place, line=reading.line(path))
                yield self.finding(where, f'the prompt "{path[-1]}" {order}')
                return

    def _jinja(self, text: str, place: Place) -> Iterator[Finding]:
        """Names that are put together from pieces, as only Jinja's own parser sees them."""
        from weighbridge.formats.template import read_text
        from weighbridge.scan.rules.template_sandbox_escape import escapes

        for fact in islice(escapes(read_text(text)), 1):
            yield self.finding(replace(place, line=fact.line), f"rendering it reaches {fact.name}")


def _told(text: str) -> Iterator[tuple[str, int]]:
    for what, pattern in _SHAPES:
        if match := pattern.search(text):
            yield what, match.start()


def _prompts(reading: JsonReading, name: str) -> Iterator[tuple[Path, str]]:
    if not _PROMPTS.search(name):
        return
    for path, item in reading.objects:
        if len(item) > 2000:
            continue  # a vocabulary
        for key, value in item.items():
            if key == "chat_template" or not _KEYS.search(key):
                continue
            for text in value if isinstance(value, list) else (value,):
                if isinstance(text, str) and len(text) > 8:
                    yield (*path, key), text[:MAX_TEXT]
