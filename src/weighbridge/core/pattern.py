"""`late`: a regular expression that is compiled when it is first used.

Compiling one costs as much as importing a small module, and of the hundreds that readers and rules have, one run uses a few.
From its first use on it is as quick as a compiled one. To the type checker it is `re.compile`.
"""

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from re import compile as compiled

    late = compiled
else:

    def late(pattern: Any, flags: int = 0) -> "_Late":
        """As `re.compile`; a pattern that is wrong is told at its first use."""
        return _Late(pattern, flags)


METHODS = ("match", "search", "fullmatch", "findall", "finditer", "split", "sub", "subn")


class _Late:
    __slots__ = ("_flags", *METHODS, "pattern")

    def __init__(self, pattern: Any, flags: int) -> None:
        self.pattern, self._flags = pattern, flags

    def __getattr__(self, name: str) -> Any:
        """Only reached by what is not set yet."""
        compiled = re.compile(self.pattern, self._flags)
        for method in METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)
