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
_YAML = re.compile(
    r"""(?:^[ \t]*(?:-[ \t]+)*|[{,][ \t]*)["']?(_target_|loader_module|class_path|cls_path)["']?[ \t]*:"""
    r"""[ \t]*(?:\r?\n[ \t]+)?["']?([^\s"'#,}\]]+)""",
    re.MULTILINE,
)
_CLASS = re.compile(r"_?[A-Z]\w*\Z")
_SENTENCE_TRANSFORMERS = re.compile(r"sentence_transformers(\.[a-z_]\w*)*\.[A-Z]\w*\Z")
_HARMLESS = re.compile(r"(mlflow|nemo|transformers|diffusers|sentence_transformers|peft)(\.[a-z]\w*)*\Z")


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
    YAML is searched, not parsed: a key that is spelt with escapes or comes through an anchor is not seen.

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
            for match in _YAML.finditer(reading.text):
                if verdict := judged(match[2]):
                    line = reading.text.count("\n", 0, match.start(1)) + 1
                    yield self._finding(replace(place, line=line), match[1], match[2], verdict)

    def _finding(self, place: Place, key: str, target: str, verdict: str) -> Finding:
        if verdict == "?":
            return self.finding(place, f'key "{key}" makes the loader call {target[:200]}', doubt=True)
        message = f'key "{key}" makes the loader call {target[:200]}, which {verdict}'
        return self.finding(place, message, severity=Severity.ERROR)


def judged(target: str) -> str:
    """What calling a dotted name does, in a word; "?" where that is not known, "" where it is harmless."""
    from weighbridge.scan import python_names as known
    from weighbridge.scan.python_effects import danger

    parts = target.replace(":", ".").split(".")
    for index, part in enumerate(parts):
        if part in known.MODULES_NOT_TO_PASS_ON:
            return danger(".".join(parts[index:]), True) or known.REWIRES
    if what := danger(".".join(parts), True) or danger(f"builtins.{target}", True):
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
