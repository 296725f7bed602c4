"""Rules of others: packages that bring rules under the entry point `weighbridge.rules`.

A package is imported only where the policy or the command line names it, since importing runs its code. Its rules can
add findings and doubts and can take none away; whatever goes wrong in them leaves the file UNKNOWN.

    [project.entry-points."weighbridge.rules"]
    acme = "acme_rules:RULES"          # a Rule subclass, or several in a tuple

Its findings carry the name of the package's entry point: `acme/no-foreign-licence`.
"""

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.core.text import some, visible
from weighbridge.core.value import dataclass
from weighbridge.scan.rule import Rule

GROUP = "weighbridge.rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRule:
    """One rule of somebody else."""

    plugin: str
    """The entry point's name."""
    version: str
    """The distribution's name and version, for the report."""
    rule: Rule

    @property
    def name(self) -> str:
        """As findings carry it: `acme/no-foreign-licence`."""
        return f"{self.plugin}/{self.rule.name}"


def installed() -> tuple[str, ...]:
    """Names of the entry points that are there, sorted; nothing is imported."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load_plugins(names: Iterable[str]) -> tuple[PluginRule, ...]:
    """The rules of the named packages. Raises `UsageError` (`no-such-rules`, `bad-rules`)."""
    return tuple(rule for name in dict.fromkeys(names) for rule in _load(name))


def _load(name: str) -> Iterator[PluginRule]:
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if len(points) != 1:
        there = some(installed()) or "none"
        why = "is not installed" if not points else "is brought by several packages"
        raise UsageError("no-such-rules", f'the rules "{visible(name)}": {why}; installed: {there}')
    for rule in _classes(points[0]):
        dist = points[0].dist
        yield PluginRule(plugin=name, version=f"{dist.name} {dist.version}" if dist else "", rule=rule())


def _classes(point: EntryPoint) -> tuple[type[Rule], ...]:
    try:
        value: Any = point.load()
    except Exception as error:  # whatever the package's code does when it is imported
        text = visible(f"{type(error).__name__}: {error}", 200)
        raise UsageError("bad-rules", f'the rules "{point.name}" cannot be imported: {text}') from None
    found = (value,) if isinstance(value, type) else tuple(value if isinstance(value, list | tuple) else ())
    if not found or not all(isinstance(one, type) and issubclass(one, Rule) for one in found):
        raise UsageError("bad-rules", f'the entry point "{point.name}" names no subclass of Rule')
    return found
