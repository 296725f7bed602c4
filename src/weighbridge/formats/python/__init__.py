"""Python source: what a module imports, names and calls, and when; parsed with `ast`, never compiled or imported.

Facts only. A *use* is a reference to something by its full dotted name, with aliases followed (`import os as o`,
`f = o.system`, `getattr(o, "sys" + "tem")`, `__import__("os")`) without regard to order, so that every binding that some
path could make is counted. Scopes tell when it happens: `""` when the module is imported (module and class bodies,
decorators, defaults), `__main__` when it is run as a script, else the name of the function whose body it stands in.
What cannot be followed has names that begin with `?` (some object) or `unbound.` (nobody binds the name).
"""

import ast
import threading
import warnings

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.formats.python.encoding import codec_of, hiding
from weighbridge.formats.python.facts import Facts, TooMuchError
from weighbridge.formats.python.reading import Import, PythonReading, Use
from weighbridge.formats.reading import Gap
from weighbridge.formats.text import bidi_anomalies

__all__ = ["Import", "PythonReading", "Use", "parse", "read"]

MAX_SOURCE = 1024**2
_PARSING = threading.Lock()
"""`ast.parse` warns about odd literals through a process-wide filter, so that only one thread may change it."""


def read(source: Source, budget: Budget, name: str) -> PythonReading:
    """Parse the module. Never raises for odd code: what Python cannot parse is a gap (`python-syntax`)."""
    if source.size > MAX_SOURCE:
        return _unread("", "limit-python", f"source of {source.size} bytes, limit {MAX_SOURCE}")
    data = source.read(0, source.size)
    codec, declared = codec_of(data)
    if codec is None:
        message = f"the encoding that the file declares, {declared}, is not read here"
        return _unread(data.decode("latin-1"), "python-encoding", message)
    try:
        text = data.decode(codec).removeprefix("\ufeff")
        budget.tick()
        tree = parse(text.replace("\0", ""))
        facts = Facts(tree)
    except UnicodeDecodeError as error:
        return _unread("", "python-encoding", f"not {codec}: {error.reason}")
    except TooMuchError as error:
        return _unread(text, "limit-python", str(error))
    except (SyntaxError, ValueError) as error:
        return _unread(text, "python-syntax", f"Python cannot parse it: {error}"[:200])
    except (RecursionError, MemoryError):
        return _unread(text, "limit-depth", "nested deeper than can be followed")
    return _reading(text, codec, facts)


def _reading(text: str, codec: str, facts: Facts) -> PythonReading:
    return PythonReading(
        format="python",
        text=text,
        imports=tuple(facts.imports),
        uses=tuple(facts.uses),
        functions=tuple(facts.functions),
        classes=tuple(facts.classes),
        bases=tuple(facts.bases),
        metaclasses=tuple(facts.metaclasses),
        anomalies=(*hiding(codec), *bidi_anomalies(text)),
        gaps=(Gap(code="python-syntax", message="NUL bytes stand in it"),) if "\0" in text else (),
        keep=True,
    )


def parse(text: str) -> ast.Module:
    """`ast.parse` without its warnings."""
    with _PARSING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _unread(text: str, code: str, message: str) -> PythonReading:
    return PythonReading(format="python", text=text, gaps=(Gap(code=code, message=message),), keep=True)
