"""The rule `config-names-code`."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.json import JsonReading, Path
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

KEYS = (
    "_target_",
    "loader_module",
    "class_path",
    "py/object",
    "py/type",
    "py/function",
    "py/reduce",
    "parent_library",
)
_WORDS = r"(_target_|loader_module|class_path|cls_path)"
_SPACE = r"[ \t]*(?:#[^\n]*)?(?:\r?\n[ \t]*)?"
_YAML = re.compile(
    r"""(?:^[ \t]*(?:[-?][ \t]+)*|[\[{,][ \t]*)["']?"""
    + _WORDS
    + r"""["']?"""
    + _SPACE
    + r":"
    + r"(?:[ \t]*[>|][-+0-9]*)?"
    + _SPACE
    + r"""["']?([^\s"'#,}\]]+)""",
    re.MULTILINE,
)
_MENTION = re.compile(rf"\b{_WORDS}\b")
_PROPERTY = re.compile(r"(?<![^\s:\[{,])(?:![^\s,\[\]{}]*|&[^\s,\[\]{}]+)[ \t]+(?=\S)")
"""A tag or an anchor in front of a node."""
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U(000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})|(\r?\n[ \t]*))"
)
_CLASS = re.compile(r"_?[A-Z]\w*\Z")
_SENTENCE_TRANSFORMERS = re.compile(r"sentence_transformers(\.[a-z_]\w*)*\.[A-Z]\w*\Z")
_HARMLESS = re.compile(r"(mlflow|nemo|transformers|diffusers|sentence_transformers|peft)(\.[a-z]\w*)*\Z")

MAX_FINDINGS = 50
"""In one YAML document; the worst come first."""


class ConfigNamesCode(Rule):
    """
    ## What it does
    Looks for config values that name a Python class or function which a library imports and calls: Hydra's and NeMo's
    `_target_`, Lightning's `class_path`, MLflow's `loader_module`, PEFT's `parent_library`, jsonpickle's `py/…`, and
    `type` in a Sentence Transformers `modules.json`.

    ## Why is this bad?
    The config chooses what is called, with which arguments. A name that reaches the operating system is an error; a class
    of a known package is not reported; anything else is undecided.

    ## Example
    ```json
    {"_target_": "os.system", "command": "echo weighbridge-sample"}
    ```

    ## Use instead
    Classes of the library that loads the config, by the path under which the library publishes them.

    ## Known problems
    YAML is searched, not parsed. Escapes are followed; a key that comes through an alias leaves the file undecided.

    ## References
    - CVE-2025-23304 (NeMo): instantiation through Hydra
    """

    name = "config-names-code"
    summary = "a config names Python code that a library imports and calls"
    severity = Severity.WARNING
    formats = ("json", "yaml")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a name."""
        if isinstance(reading, JsonReading):
            modules = posixpath.basename(place.parts[-1] if place.parts else place.path) == "modules.json"
            named = dict.fromkeys(_named(reading, modules=modules))
            for path, target in named:
                if verdict := judged(target):
                    yield self._finding(
                        replace(place, line=reading.line(path)), str(path[-1]), target, verdict
                    )
        elif isinstance(reading, TextReading):
            text = _plain(reading.text)
            matches = list(_YAML.finditer(text))
            calls = [(match, verdict) for match in matches if (verdict := judged(match[2]))]
            for match, verdict in sorted(calls, key=lambda found: found[1] == "?")[:MAX_FINDINGS]:
                line = text.count("\n", 0, match.start(1)) + 1
                yield self._finding(replace(place, line=line), match[1], match[2], verdict)
            yield from self._elsewhere(text, {match.start(1) for match in matches}, place)

    def _elsewhere(self, text: str, seen: set[int], place: Place) -> Iterator[Finding]:
        """One finding for the first such word that stands where no plain key does: an alias may make it one."""
        for match in _MENTION.finditer(text):
            before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
            if match.start(1) not in seen and not before.lstrip().startswith("#"):
                line = text.count("\n", 0, match.start(1)) + 1
                message = f'"{match[1]}" stands where it may become a key that names code'
                yield self.finding(replace(place, line=line), message, doubt=True)
                return

    def _finding(self, place: Place, key: str, target: str, verdict: str) -> Finding:
        if verdict == "?":
            return self.finding(place, f'key "{key}" makes the loader call {target[:200]}', doubt=True)
        message = f'key "{key}" makes the loader call {target[:200]}, which {verdict}'
        return self.finding(place, message, severity=Severity.ERROR)


def _plain(text: str) -> str:
    """The YAML without escapes, and without the tags and anchors in front of nodes."""
    if "\\" in text:
        text = _ESCAPE.sub(lambda m: chr(int(m[1] or m[2] or m[3], 16)) if m[4] is None else "", text)
    return _PROPERTY.sub("", text)


def judged(target: str) -> str:
    """What calling a dotted name does, in a word; "?" where that is not known, "" where it is harmless."""
    from weighbridge.scan import python_names as known
    from weighbridge.scan.contracts import harm
    from weighbridge.scan.python_effects import danger

    parts = target.replace(":", ".").split(".")
    for index, part in enumerate(parts):
        if part in known.MODULES_NOT_TO_PASS_ON:
            return danger(".".join(parts[index:]), True) or known.REWIRES
    if what := danger(".".join(parts), True) or danger(f"builtins.{target}", True):
        return what
    if harm.is_stdlib(parts[0]) and (what := harm.harm_of(".".join(parts))):
        return what
    if _HARMLESS.match(target) or _SENTENCE_TRANSFORMERS.match(target):
        return ""
    plain = parts[0] in known.PACKAGES and _CLASS.match(parts[-1])
    return "" if plain and not any(part.startswith("__") for part in parts) else "?"


def _named(reading: JsonReading, *, modules: bool) -> Iterator[tuple[Path, str]]:
    for path, item in reading.objects:
        for key in KEYS:
            target = item.get(key)
            if isinstance(target, list) and target:
                target = target[0] if isinstance(target[0], str) else "?"
            if isinstance(target, str) and target and (key != "class_path" or "." in target):
                yield (*path, key), target
            elif isinstance(target, dict):
                yield (*path, key), "?"
        if modules and len(path) == 1 and isinstance(item.get("type"), str):
            yield (*path, "type"), item["type"]
