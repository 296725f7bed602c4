"""Artifact rules of in-toto (specification v1.0, section 4.3.3): which files a step may take, leave, make and change.

Each rule takes from the queue of paths what it consumes; DISALLOW and REQUIRE only look. A path that no rule consumes is
allowed, as in in-toto: a careful layout ends in `DISALLOW *`.
"""

from collections.abc import Mapping, Sequence
from fnmatch import filter as matching
from typing import Any, NamedTuple

from weighbridge.attest.intoto.metadata import BAD
from weighbridge.core.errors import InputError
from weighbridge.core.text import some, visible

Files = Mapping[str, Mapping[str, str]]
"""path → {hash algorithm: hex}."""
MOST_WORK = 20_000_000
"""Paths tried against patterns, over all rules."""


class Link(NamedTuple):
    """What one step says it took and left."""

    materials: Files
    products: Files


class _Match(NamedTuple):
    pattern: str
    here: str
    there: str
    side: str
    step: str


def broken_rule(rules: Sequence[Any], artifacts: Files, link: Link, links: Mapping[str, Link]) -> str | None:
    """The first rule that does not hold, in words; None where all do. Raises `InputError` (`bad-in-toto`)."""
    queue = set(artifacts)
    if len(rules) * max(len(queue), 1) > MOST_WORK:
        raise InputError(BAD, "the rules over these files are too many to try")
    for rule in rules:
        kind, pattern, match = _unpacked(rule)
        if kind == "DISALLOW" and (found := sorted(matching(queue, pattern))):
            return f"DISALLOW {visible(pattern, 60)} meets {some([visible(path, 60) for path in found])}"
        if kind == "REQUIRE" and pattern not in queue:
            return f"REQUIRE {visible(pattern, 60)} is not there"
        queue -= _consumed(kind, pattern, match, queue, artifacts, link, links)
    return None


def _consumed(
    kind: str,
    pattern: str,
    match: _Match | None,
    queue: set[str],
    artifacts: Files,
    link: Link,
    links: Mapping[str, Link],
) -> set[str]:
    took, left = link.materials, link.products
    if match is not None:
        return _matched(match, queue, artifacts, links)
    found = set(matching(queue, pattern)) if kind in ("CREATE", "DELETE", "MODIFY", "ALLOW") else set()
    match kind:
        case "CREATE":
            return {path for path in found if path in left and path not in took}
        case "DELETE":
            return {path for path in found if path in took and path not in left}
        case "MODIFY":
            return {path for path in found if path in took and path in left and took[path] != left[path]}
        case _:
            return found


def _matched(rule: _Match, queue: set[str], artifacts: Files, links: Mapping[str, Link]) -> set[str]:
    link = links.get(rule.step)
    if link is None:
        return set()
    there = link.materials if rule.side == "MATERIALS" else link.products
    here, far = _prefix(rule.here), _prefix(rule.there)
    paths = [path.removeprefix(here) for path in queue if path.startswith(here)]
    return {
        here + path
        for path in matching(paths, rule.pattern)
        if artifacts[here + path] == there.get(far + path)
    }


def _prefix(folder: str) -> str:
    return folder.rstrip("/") + "/" if folder else ""


def _unpacked(rule: Any) -> tuple[str, str, _Match | None]:
    """`MATCH pattern [IN folder] WITH MATERIALS|PRODUCTS [IN folder] FROM step`, or a word and a pattern."""
    if not isinstance(rule, list) or not all(isinstance(word, str) for word in rule) or len(rule) < 2:
        raise InputError(BAD, "an artifact rule is no list of words")
    kind = rule[0].upper()
    if kind in ("CREATE", "DELETE", "MODIFY", "ALLOW", "DISALLOW", "REQUIRE") and len(rule) == 2:
        return kind, rule[1], None
    if kind == "MATCH":
        words, rest = rule[2:], ["", ""]
        if words[:1] and words[0].upper() == "IN":
            rest[0], words = words[1] if len(words) > 1 else "", words[2:]
        side = words[1].upper() if len(words) > 1 and words[0].upper() == "WITH" else ""
        words = words[2:]
        if words[:1] and words[0].upper() == "IN":
            rest[1], words = words[1] if len(words) > 1 else "", words[2:]
        if side in ("MATERIALS", "PRODUCTS") and len(words) == 2 and words[0].upper() == "FROM":
            return kind, rule[1], _Match(rule[1], rest[0], rest[1], side, words[1])
    raise InputError(BAD, f'"{visible(" ".join(rule), 100)}" is no artifact rule')
