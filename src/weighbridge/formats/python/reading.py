"""What is read of a Python module: its imports, its uses of names, and what it defines."""

from functools import lru_cache
from typing import NamedTuple

from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Reading


class Import(NamedTuple):
    """One imported module: `import module` or `from module import name`."""

    module: str
    """Dotted; relative imports keep their leading dots."""
    name: str
    """What is taken from it; "" for the module itself, `*` for all."""
    line: int
    scope: str


class Use(NamedTuple):
    """One reference to something by name."""

    name: str
    """`os.system`, `builtins.eval`, `torch.nn.Linear().weight`, `module.helper` for what this file defines itself."""
    line: int
    scope: str
    called: bool = False
    arguments: tuple[object, ...] = ()
    """The first arguments of a call where they fold to constants, else None; lists of words as one text, and what does
    not fold inside a text as `…`."""
    keywords: tuple[tuple[str, object], ...] = ()
    """Likewise; the name is `**` for an unpacked mapping."""
    inner: frozenset[str] = frozenset()
    """Names of everything called inside the arguments."""
    base: bool = False
    """True where a class statement only names it as a base."""
    kept: bool = False
    """True where it is only given a name that is followed, compared or caught."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PythonReading(Reading):
    """One module."""

    text: str
    imports: tuple[Import, ...] = ()
    uses: tuple[Use, ...] = ()
    functions: tuple[str, ...] = ()
    """Qualified names of the functions and methods that it defines."""
    classes: tuple[str, ...] = ()
    bases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(class, names of its bases as written)."""
    metaclasses: tuple[str, ...] = ()
    """What class statements name as `metaclass=`, or under other keywords."""

    def source_line(self, line: int) -> str:
        """The text of a line, for messages."""
        lines = _split(self.text)
        return lines[line - 1].strip()[:160] if 0 < line <= len(lines) else ""


@lru_cache(maxsize=2)
def _split(text: str) -> list[str]:
    """The lines of the module that findings are being made of."""
    return text.splitlines()
