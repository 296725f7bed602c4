"""Advisories: which published weaknesses a finding uses, and whether a given environment has them.

`advisories.toml` is reviewed data. A finding is told the advisories of its rule; where somebody names the loaders that
they run (`--loader keras==3.12`), a finding whose every advisory is of such a loader, in a version that refuses the file,
becomes a note. What is not named counts as any version: absence is never a pass.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from weighbridge.core.errors import UsageError
from weighbridge.core.finding import Finding, Severity
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass, replace

if TYPE_CHECKING:
    from packaging.version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One published weakness of one loader."""

    id: str
    loader: str
    """The distribution's normal name (PEP 503), or what the program is called."""
    affected: str
    """PEP 440 specifier of the versions that have it."""
    rules: tuple[str, ...]
    """Rules that see a file that uses it."""
    what: str
    match: str = ""
    """Pattern over a finding's message, where a rule speaks of more than one thing; "" for all."""
    refused: bool = False
    """Whether versions that are not affected refuse such a file, or are not harmed by it."""

    def __str__(self) -> str:
        return f"{self.id} ({self.loader} {self.affected})"

    def concerns(self, finding: Finding) -> bool:
        """Whether a finding is about this."""
        return finding.rule in self.rules and (not self.match or bool(re.search(self.match, finding.message)))

    def hits(self, version: "Version") -> bool:
        """Whether a version has it; pre-releases count like the release that they come before."""
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(self.affected).contains(version, prereleases=True)


Loaders = Mapping[str, str]
"""Loader → version of an environment."""


@cache
def all_advisories() -> tuple[Advisory, ...]:
    """The reviewed list, in its order."""
    text = files("weighbridge.scan").joinpath("advisories.toml").read_text("utf-8")
    return tuple(
        Advisory(**{**table, "rules": tuple(table["rules"])}) for table in tomllib.loads(text)["advisory"]
    )


@cache
def _by_rule() -> Mapping[str, tuple[Advisory, ...]]:
    found: defaultdict[str, list[Advisory]] = defaultdict(list)
    for advisory in all_advisories():
        for rule in advisory.rules:
            found[rule].append(advisory)
    return {rule: tuple(rows) for rule, rows in found.items()}


def parse_loaders(texts: Iterable[str]) -> dict[str, str]:
    """`keras==3.12` → {"keras": "3.12"}. Raises `UsageError` (`bad-loader`)."""
    return dict(_parse(text) for text in texts)


def _parse(text: str) -> tuple[str, str]:
    from packaging.version import InvalidVersion, Version

    name, _, version = text.partition("==")
    loader = name.strip().lower().replace("_", "-")
    known = sorted({advisory.loader for advisory in all_advisories()})
    try:
        found = Version(version.strip().removeprefix("b"))
    except InvalidVersion:
        found = None
    if found is None or loader not in known:
        hint = f"loaders: {', '.join(known)}"
        raise UsageError(
            "bad-loader", f'"{visible(text, 80)}" is no loader with a version, such as torch==2.5', hint
        )
    return loader, str(found)


def informed(findings: Iterable[Finding], loaders: Loaders) -> Iterator[Finding]:
    """The findings with their advisories, judged for the environment."""
    table = _by_rule()
    for finding in findings:
        concerned = [one for one in table.get(finding.rule, ()) if one.concerns(finding)]
        yield _judged(finding, concerned, loaders) if concerned else finding


def _judged(finding: Finding, advisories: list[Advisory], loaders: Loaders) -> Finding:
    from packaging.version import Version

    told = replace(finding, advisories=tuple(str(one) for one in advisories))
    if not all(one.refused and one.loader in loaders for one in advisories):
        return told
    if any(one.hits(Version(loaders[one.loader])) for one in advisories):
        return told
    named = ", ".join(dict.fromkeys(f"{one.loader} {loaders[one.loader]}" for one in advisories))
    return replace(told, severity=Severity.NOTE, doubt=False, message=f"{told.message} (not with {named})")
