"""The rule `keras-lambda-layer`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.json import JsonReading
from weighbridge.formats.keras import code_in, objects_in
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class KerasLambdaLayer(Rule):
    """
    ## What it does
    Finds `Lambda` layers whose function is Python bytecode in the configuration, and the `__lambda__` objects of Keras 3,
    anywhere in a Keras configuration: layers, losses, activations, wrappers; and bytecode or pickles in any other value.
    A `Lambda` that names a function of the loading program is undecided.

    ## Why is this bad?
    The bytecode is run when the model is loaded or called. Keras 3 refuses it in safe mode, which callers turn off
    for exactly such models, and which the H5 loader and older versions do not have.

    ## Example
    ```json
    {"class_name": "Lambda", "config": {"function": ["4wEAAAAAAAAA...", null, null], "function_type": "lambda"}}
    ```

    ## Use instead
    A layer of Keras, an operation of `keras.ops`, or a layer class in the code that uses the model.

    ## Known problems
    None known.

    ## References
    - CVE-2024-3660, CVE-2025-9905
    """

    name = "keras-lambda-layer"
    summary = "A Keras model carries Python code in a Lambda layer"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("json", "yaml", "keras-object")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, JsonReading):
            return
        items = tuple(objects_in(reading))
        if not items:
            return
        from weighbridge.scan.contracts import (
            keras,  # few documents name objects of Keras; the others need no lists
        )

        carriers = [item for item in items if item.class_name in keras.CARRIERS]
        told = [item for item in carriers if not _named_function(item.config) or _holds_code(item.config)]
        for path, head in code_in(reading):
            if any(path[: len(item.path)] == item.path for item in told):
                continue
            where = replace(place, line=reading.line(path))
            if head[:1] != b"\x80":
                yield self.finding(where, "Python bytecode stands in the configuration")
            elif _REACHES.search(head):
                yield self.finding(where, "a pickle that reaches the system stands in the configuration")
            else:
                yield self.finding(
                    where, "a pickle stands in the configuration", severity=Severity.WARNING, doubt=True
                )
        for item in carriers:
            if _holds_lambda(item.config):
                continue
            where = replace(place, line=reading.line(item.path))
            if (named := _named_function(item.config)) and not _holds_code(item.config):
                text = f'a Lambda layer calls the function "{visible(named)}" of the loading program'
                yield self.finding(where, text, severity=Severity.WARNING, doubt=True)
            else:
                yield self.finding(
                    where, "Python code in a Lambda layer is run when the model is loaded or called"
                )


_REACHES = late(
    rb"\b(os|posix|nt|subprocess|builtins|__builtin__|sys|shutil|socket|runpy|importlib|webbrowser|pty)\b"
)


def _holds_code(config: object) -> bool:
    """Whether code stands beside a named function: the shape of the output and the mask may be functions too."""
    values = config if isinstance(config, dict) else {}
    kinds = [values.get(f"{key}_type") for key in ("function", "output_shape", "mask")]
    texts = [values.get(key) for key in ("function", "output_shape", "mask", "arguments")]
    dumped = any(isinstance(text, list) and text and isinstance(text[0], str) for text in texts[:3])
    return dumped or any(kind in ("lambda", "raw") for kind in kinds)


def _named_function(config: object) -> str:
    """The name of the function, where it is one that the loading program has, and not code."""
    found = config.get("function") if isinstance(config, dict) else None
    if isinstance(found, str):
        return found
    if (
        isinstance(found, dict)
        and found.get("class_name") == "function"
        and isinstance(found.get("config"), str)
    ):
        return str(found["config"])
    return ""


def _holds_lambda(config: object) -> bool:
    """Whether the function is an object of its own, which is then found by itself."""
    found = config.get("function") if isinstance(config, dict) else None
    return isinstance(found, dict) and found.get("class_name") == "__lambda__"
