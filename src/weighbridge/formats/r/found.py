"""What is found in an R object: the code in it, what that code names, and what loading asks for."""

from dataclasses import field
from typing import NamedTuple

from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Reading


@dataclass(slots=True, kw_only=True)
class Code:
    """One piece of code in the stream."""

    kind: str
    """`promise`, `forced` (a promise that was kept already), `closure`, `language`, `expression`, `bytecode`, `builtin`."""
    offset: int
    bound: str = ""
    """The name it is bound to, where it has one."""
    natural: bool = True
    """False where R itself would never have put it: a promise outside of an environment, loose byte code."""
    called: set[str] = field(default_factory=set)
    """Names in the place of the function; `` for a computed one."""
    words: set[str] = field(default_factory=set)
    """All other names and strings in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RReading(Reading):
    """What loading the stream makes."""

    codes: tuple[Code, ...] = ()
    packages: tuple[str, ...] = ()
    """Packages whose namespaces are loaded together with the object."""
    altreps: tuple[str, ...] = ()
    """`package:class` of compact vectors, whose loader is that class's own code."""
    hooks: int = 0
    """Objects that only a hook of the caller's could restore."""
    names: tuple[str, ...] = ()
    """Variables that `load` would set."""


class Here(NamedTuple):
    """What is known about the place of an item."""

    code: Code | None = None
    """The innermost code that it is part of."""
    head: bool = False
    """In the place of the function of a call."""
    frame: bool = False
    """A binding of an environment."""
    bound: str = ""
    body: bool = False
    """The body of a closure, where byte code belongs."""
    top: bool = False
