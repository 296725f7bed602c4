"""One use that is not known to be harmless, what stands around its module, and which of them are errors."""

from collections.abc import Mapping, Set
from dataclasses import field
from typing import NamedTuple

from weighbridge.core.value import dataclass
from weighbridge.formats.python import Use
from weighbridge.scan import python_names as known


class Effect(NamedTuple):
    """One use that is not known to be harmless."""

    use: Use
    what: str
    """One of the words of `python_names`, or a reason why it cannot be judged."""
    proved: bool
    """True where the name itself says what happens; False where it only cannot be followed."""
    when: str
    """`import`, `load` (inside a class that a config names), or `call` (some function, or run as a script)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What stands around a module."""

    entry: Set[str] = frozenset()
    """Classes and functions that a config names; `*` for all."""
    siblings: Set[str] = frozenset()
    """Top-level module names that stand in the same artifact."""
    present: Set[str] | None = None
    """Paths of the artifact, to check relative imports; None where unknown."""
    path: str = ""
    loaded: bool = True
    """False for a script that nothing imports when the model is loaded."""
    cell: bool = False
    """True for a notebook's cell: opening the notebook does not run it."""
    shared: bool = False
    """True where another file of the artifact imports it, so that the names it gives are used elsewhere."""
    helpers: Mapping[str, str] = field(default_factory=dict)
    """`module.name` of functions and classes in files beside it → what calling them does."""


SEVERE = frozenset(
    (known.RUNS, known.EVALUATES, known.CONNECTS, known.NATIVE, known.UNPICKLES, known.DELETES)
)
SEVERE_WHEN_LOADED = SEVERE | {known.FETCHES, known.UNPICKLES_FILE, known.REMOTE, known.COMPILES}
SEVERE_IN_METHODS = frozenset((known.RUNS, known.EVALUATES, known.CONNECTS, known.NATIVE))


def is_error(effect: Effect, setting: Setting) -> bool:
    """Whether an effect happens to everybody who loads the model, and not only to who calls some function."""
    if not effect.proved or effect.when == "call" or effect.use.base:
        return False
    if effect.use.kept and not (setting.shared and effect.what in (known.RUNS, known.EVALUATES)):
        return False
    if effect.when == "import":
        return effect.what in (SEVERE_WHEN_LOADED if setting.loaded else SEVERE)
    return effect.what in (SEVERE if effect.when == "construct" else SEVERE_IN_METHODS)
