"""Patterns of tokenizers: how long a regular expression may work on a text that somebody chose.

`tokenizer.json` (tokenizers) and others carry patterns that split every text. Engines that go back and forth (Oniguruma,
Python's `regex`) need exponential time for a repetition inside a repetition whose pieces overlap, `(a+)+`. The pattern is
read here by its brackets and repetitions alone; it is never compiled or matched.
"""

import re
from collections.abc import Iterator

from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path

MAX_PATTERN = 20_000
_QUANTIFIER = late(r"\*|\+|\{\d*,\d*\}")
_BOUNDED = late(r"\?|\{\d+\}")
_ATOM = late(r"\\[pP]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|[^()|*+?{}\\]", re.DOTALL)


def patterns(reading: JsonReading) -> Iterator[tuple[Path, str]]:
    """Every regular expression of a `tokenizer.json`."""
    for path, item in reading.objects:
        pattern = item.get("pattern")
        for key, value in pattern.items() if isinstance(pattern, dict) else ():
            if key == "Regex" and isinstance(value, str):
                yield (*path, "pattern", key), value
        for key in ("pat_str", "pattern", "regex"):
            if isinstance(item.get(key), str) and len(item[key]) > 3:
                yield (*path, key), item[key]


def explodes(pattern: str) -> str:
    """The part that repeats a repetition without end, as it stands; "" for patterns that stay linear or nearly so."""
    stack: list[tuple[int, bool]] = []
    at, endless = 0, False
    last_was: bool = False
    while at < min(len(pattern), MAX_PATTERN):
        char = pattern[at]
        if char == "(":
            stack.append((at, endless))
            endless, last_was = False, False
            at += 1
            skip = re.compile(r"\?([:=!>]|<[=!]|<\w+>|P<\w+>|[a-zA-Z-]*:)").match(pattern, at)
            if skip:
                if skip[0] == "?>":
                    endless = False
                at = skip.end()
        elif char == ")" and stack:
            start, outer = stack.pop()
            at += 1
            inner = endless
            repeat = _QUANTIFIER.match(pattern, at)
            possessive = repeat is not None and pattern[repeat.end() : repeat.end() + 1] == "+"
            if repeat and inner and not possessive and _overlaps(pattern[start:at]):
                return pattern[start : repeat.end()]
            endless = outer or inner or bool(repeat)
            last_was = False
        elif _QUANTIFIER.match(pattern, at):
            end = _QUANTIFIER.match(pattern, at)
            at = end.end() if end else at + 1
            endless = endless or last_was
            last_was = False
        else:
            atom = _ATOM.match(pattern, at)
            at = atom.end() if atom else at + 1
            last_was = char not in "|?"
    return ""


def _overlaps(group: str) -> bool:
    """Whether what is repeated inside the group may end and begin in the same letters: nothing fixed stands between."""
    inner = re.sub(r"^\((\?(:|<\w+>|P<\w+>|[a-zA-Z-]*:))?", "", group)[:-1]
    return any(_only_repeats(branch) for branch in _branches(inner))


def _branches(inner: str) -> Iterator[str]:
    depth, start = 0, 0
    for at, char in enumerate(inner):
        depth += (char == "(") - (char == ")")
        if char == "|" and depth == 0:
            yield inner[start:at]
            start = at + 1
    yield inner[start:]


def _only_repeats(branch: str) -> bool:
    """A branch of which every atom is repeated or may be left out, with one repeated without end."""
    at, endless = 0, False
    while at < len(branch):
        if branch[at] in "()":
            at += 1
            if branch[at - 1] == ")":
                found = _QUANTIFIER.match(branch, at) or _BOUNDED.match(branch, at)
                endless = endless or bool(_QUANTIFIER.match(branch, at))
                at = found.end() if found else at
            continue
        atom = _ATOM.match(branch, at)
        if atom is None:
            at += 1
            continue
        at = atom.end()
        repeat, bounded = _QUANTIFIER.match(branch, at), _BOUNDED.match(branch, at)
        if not repeat and not (bounded and bounded[0] == "?"):
            return False
        endless = endless or bool(repeat)
        at = (repeat or bounded).end()  # type: ignore[union-attr]
    return endless
