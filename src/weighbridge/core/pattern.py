"""`late`: a regular expression that is compiled when it is first used.

Compiling one costs as much as importing a small module, and of the hundreds that readers and rules have, one run uses a few.
From its first use on it is as quick as a compiled one. `needs` puts off even that: a text that holds none of these literals
cannot match, and is answered without the pattern. A test proves of every pattern that its `needs` are true.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, AnyStr

if TYPE_CHECKING:

    def late(pattern: AnyStr, flags: int = 0, *, needs: tuple[AnyStr, ...] = ()) -> re.Pattern[AnyStr]:
        """As `re.compile`; a pattern that is wrong is told at its first use."""
        return re.compile(pattern, flags)
else:

    def late(pattern: Any, flags: int = 0, *, needs: tuple[Any, ...] = ()) -> "_Late":
        """As `re.compile`; a pattern that is wrong is told at its first use."""
        return _Late(pattern, flags, needs)


METHODS = ("match", "search", "fullmatch", "findall", "finditer", "split", "sub", "subn")
NOTHING: dict[str, Callable[[], Any]] = {
    "match": lambda: None,
    "search": lambda: None,
    "fullmatch": lambda: None,
    "findall": list,
    "finditer": lambda: iter(()),
}
"""Method → what it answers where nothing matches."""


class _Late:
    __slots__ = ("_flags", *METHODS, "needs", "pattern")

    def __init__(self, pattern: Any, flags: int, needs: tuple[Any, ...]) -> None:
        self.pattern, self._flags, self.needs = pattern, flags, needs

    def __getattr__(self, name: str) -> Any:
        """Only reached by what is not set yet."""
        if not self.needs or name not in NOTHING:
            return getattr(self._compiled(), name)

        def ask(text: Any, *place: int) -> Any:
            return getattr(self._compiled(), name)(text, *place) if self._may_match(text) else NOTHING[name]()

        return ask

    def _compiled(self) -> Any:
        compiled = re.compile(self.pattern, self._flags)
        for method in METHODS:
            setattr(self, method, getattr(compiled, method))
        return compiled

    def _may_match(self, text: Any) -> bool:
        """Whether a literal stands in the text, in any case; letters beyond ASCII may be cases of one within it."""
        if not text.isascii():
            return True
        folded = text.lower()
        return any(literal in folded for literal in self.needs)
