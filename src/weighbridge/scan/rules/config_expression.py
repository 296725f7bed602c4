"""The rule `config-expression`."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path
from weighbridge.formats.reading import Reading
from weighbridge.scan import text_harm
from weighbridge.scan.rule import Rule

_RESOLVER = late(r"\$\{\s*([\w.]+)\s*:\s*([^{}]{0,2000})")
_HARMLESS = frozenset(
    ["oc.env", "oc.decode", "oc.create", "oc.select", "oc.dict.keys", "oc.dict.values", "oc.deprecated", "now", "hydra", "hydra.job", "hydra.runtime", "choices", "add", "sum", "sub", "mul", "div", "multiply", "divide", "len", "join", "concat", "int", "max", "min", "ceil", "floor", "round", "if", "eq", "not"]
)  # fmt: skip
_SECRET = late(r"(?i)secret|token|passw|credential|api_?key|private|access_?key")
_EVALUATES = late(
    r"(?i)(eval|exec|python|py|code|lambda|import|shell|sh|cmd|system|call|instantiate|get_class|get_method)\Z"
)
_DANGER = late(
    r"__\w+__|\b(os|sys|subprocess|builtins|importlib|socket|ctypes|pickle|shutil)\s*\.|\b(eval|exec|open|compile|getattr)\s*\("
)
_REACHES = late(
    r"\{[{%][^}]{0,2000}?(__(class|mro|base|bases|globals|subclasses|builtins|init|import|dict|getattribute)__|\\x5f\\x5f|\|\s*attr\s*\()"
)
MAX_OBJECTS = 20_000
MAX_FINDINGS = 20


class ConfigExpression(Rule):
    """
    ## What it does
    Looks for config values that a program evaluates: `${eval:…}` and other resolvers of OmegaConf, and the `$` expressions
    of MONAI bundles. Resolvers of OmegaConf's own that only read the environment are noted.

    ## Why is this bad?
    A `$` expression is Python that `monai.bundle` evaluates when the model is loaded; a resolver does what the program that
    registered it wants, and one called `eval` usually evaluates.

    ## Example
    ```json
    {"network_def": {"_target_": "monai.networks.nets.UNet"}, "x": "$__import__('os').system('echo weighbridge-sample')"}
    ```

    ## Use instead
    Values, and references between them (`${model.width}`, `@network_def`).

    ## Known problems
    Expressions that only compute stay undecided.

    ## References
    - https://omegaconf.readthedocs.io/en/2.3_branch/custom_resolvers.html
    """

    name = "config-expression"
    summary = "a config value is evaluated by the program that loads it"
    severity = Severity.WARNING
    formats = ("json", "yaml")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a value, twenty at most."""
        if not isinstance(reading, JsonReading):
            return
        yield from self._templates(reading, place)
        yield from self._nodes(reading, place)
        if "$" not in reading.text:
            return
        found = 0
        bundle = any("_target_" in item or "bundle_root" in item for _, item in reading.objects)
        for path, text in _texts(reading):
            for finding in self._value(replace(place, line=1), path, text, reading, bundle=bundle):
                found += 1
                if found > MAX_FINDINGS:
                    return
                yield replace(finding, place=replace(place, line=reading.line(path)))

    def _templates(self, reading: JsonReading, place: Place) -> Iterator[Finding]:
        """Templates under keys that no tokenizer has: those of pipelines and prompts."""
        if "{{" not in reading.text and "{%" not in reading.text:
            return
        for path, item in islice(reading.objects, MAX_OBJECTS):
            for key, value in item.items():
                if key != "chat_template" and isinstance(value, str) and (match := _REACHES.search(value)):
                    where = replace(place, line=reading.line((*path, key)))
                    message = f'the template under "{key}" reaches for Python\'s inside: {match[0][-80:]}'
                    yield self.finding(where, message, severity=Severity.ERROR)
                    return

    def _nodes(self, reading: JsonReading, place: Place) -> Iterator[Finding]:
        """Code in the nodes of a workflow (ComfyUI), which some nodes run."""
        for path, item in islice(reading.objects, MAX_OBJECTS):
            values = item.get("widgets_values")
            inputs = item.get("inputs") if "class_type" in item else None
            texts = (
                values
                if isinstance(values, list)
                else [*(inputs.values() if isinstance(inputs, dict) else ())]
            )
            for text in texts:
                if isinstance(text, str) and (what := text_harm.harm(text)) and "Python" in what:
                    where = replace(place, line=reading.line(path))
                    yield self.finding(where, f"a node holds {what}", severity=Severity.ERROR)
                    return

    def _value(
        self, place: Place, path: Path, text: str, reading: JsonReading, *, bundle: bool
    ) -> Iterator[Finding]:
        if text.startswith("$") and not text.startswith("${") and bundle and len(text) > 1:
            if what := _python_harm(text[1:]):
                yield self.finding(
                    place, f'"{path[-1]}" is evaluated, and {what}: {text[:100]}', severity=Severity.ERROR
                )
            elif not re.match(r"\$@?[\w:.#]+\Z", text):
                yield self.finding(place, f'"{path[-1]}" is evaluated: {text[:100]}', doubt=True)
        for match in _RESOLVER.finditer(text) if reading.format == "yaml" or bundle else ():
            yield from self._resolver(place, match[1], match[2])

    def _resolver(self, place: Place, name: str, argument: str) -> Iterator[Finding]:
        if name == "oc.env":
            message = f"reads {argument[:60]} from the environment of whoever loads it"
            secret = _SECRET.search(argument.partition(",")[0]) is not None
            yield self.finding(
                place, message, severity=Severity.WARNING if secret else Severity.NOTE, doubt=secret
            )
        elif _EVALUATES.search(name) and (what := _python_harm(argument.strip("'\""))):
            yield self.finding(
                place, f"the resolver {name} evaluates its text, and {what}", severity=Severity.ERROR
            )
        elif name not in _HARMLESS and not name.startswith("hydra."):
            yield self.finding(place, f"the resolver {name} does what the loading program wants", doubt=True)


def _texts(reading: JsonReading) -> Iterator[tuple[Path, str]]:
    for path, item in reading.objects:
        for key, value in item.items():
            for index, text in enumerate(value) if isinstance(value, list) else ((None, value),):
                if isinstance(text, str) and "$" in text:
                    yield ((*path, key) if index is None else (*path, key, index)), text


def _python_harm(expression: str) -> str:
    """What evaluating the expression does, as far as names tell; "" when they do not."""
    from weighbridge.core.budget import Budget
    from weighbridge.core.source import MemorySource
    from weighbridge.formats.python import read
    from weighbridge.scan.python_effects import Setting, effects, is_error

    reading = read(MemorySource(expression.encode("utf-8", "replace")), Budget(), "expression.py")
    if not reading.gaps:
        setting = Setting()
        return next((effect.what for effect in effects(reading, setting) if is_error(effect, setting)), "")
    return "names what reaches outside" if _DANGER.search(expression) else ""
