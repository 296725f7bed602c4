"""The verification of an in-toto layout, in the specification's order (v1.0, section 5.2). Pure: bytes in, evidence out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from weighbridge.attest.intoto.metadata import BAD, Key, Signed, read_key, read_signed
from weighbridge.attest.intoto.rules import Files, Link, broken_rule
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.manifest import Manifest
from weighbridge.core.text import counted, some, visible
from weighbridge.sign.fields import maybe, need, take

MOST_STEPS = 1_000


class _EndError(Exception):
    """The verification ends here with this answer."""

    def __init__(self, outcome: Outcome, code: str, why: str) -> None:
        super().__init__(why)
        self.outcome, self.code, self.why = outcome, code, why


class _Step(NamedTuple):
    name: str
    keys: tuple[str, ...]
    threshold: int
    command: tuple[str, ...]
    expected: Link
    """Rules for materials and for products."""


def verify_layout(
    layout: bytes, owners: Sequence[Key], links: Mapping[str, bytes], manifest: Manifest, now: datetime
) -> Evidence:
    """`traced`, by a layout. `links`: file name → contents, as in-toto names them (`STEP.KEYID8.link`). Never raises."""
    try:
        steps, notes = _verify(layout, owners, links, manifest, now)
    except _EndError as end:
        return Evidence(
            question="traced", outcome=end.outcome, why=end.why, code=end.code, by="in-toto layout"
        )
    except (InputError, LimitError) as error:
        outcome = Outcome.UNKNOWN if isinstance(error, LimitError) else Outcome.FAIL
        return Evidence(
            question="traced", outcome=outcome, why=error.message, code=error.code, by="in-toto layout"
        )
    why = f"the layout holds: {counted(len(steps), 'step')} signed ({some([visible(s, 40) for s in steps])})"
    return Evidence(
        question="traced", outcome=Outcome.PASS, why=why, by="in-toto layout", details=tuple(notes)
    )


def _verify(
    data: bytes, owners: Sequence[Key], files: Mapping[str, bytes], manifest: Manifest, now: datetime
) -> tuple[tuple[str, ...], list[str]]:
    # (1) Every key of the owners has signed the layout.
    signed = read_signed(data, "the layout")
    if not owners:
        raise _EndError(
            Outcome.UNKNOWN, "no-anchors", "nobody is trusted to make layouts: no layout key was given"
        )
    if not all(signed.is_signed_by(key) for key in owners):
        raise _EndError(Outcome.FAIL, "layout-signature", "the layout is not signed by its owner")
    if signed.body.get("_type") != "layout":
        raise InputError(BAD, "the layout is none")

    # (2) It has not expired.
    until = _time(take(dict(signed.body), "expires", str, BAD, "the layout"))
    if now > until:
        raise _EndError(Outcome.FAIL, "layout-expired", f"the layout expired on {until:%Y-%m-%d}")

    # (3) Keys and steps. What cannot be understood of them is UNKNOWN only where a step needs it.
    keys = {
        name: _key(name, value)
        for name, value in take(dict(signed.body), "keys", dict, BAD, "the layout").items()
    }
    steps = [_step(row) for row in _list(signed.body, "steps")]
    if not steps or len({step.name for step in steps}) != len(steps):
        raise InputError(BAD, "the layout has no steps, or two of one name")

    # (4) For each step: enough links, each signed by a different key that the layout lets do the step, all alike.
    notes: list[str] = []
    links = {step.name: _link_of(step, keys, files, notes) for step in steps}

    # (5) What each step took and left follows the rules.
    for step in steps:
        _hold(step.name, step.expected, links[step.name], links)

    # (6) Inspections. Their commands are not run; what they would find first is the model, which was measured.
    final = _measured(manifest)
    for row in _list(signed.body, "inspect"):
        _inspect(row, final, links)

    # (7) The model is what the last step left, file by file.
    products = links[steps[-1].name].products
    other = [path for path, hashes in final.items() if products.get(path) != hashes]
    if other or not final:
        shown = some([visible(path, 60) for path in other]) if other else "no file"
        why = f'what the last step, "{visible(steps[-1].name, 40)}", left is not this model: {shown}'
        raise _EndError(Outcome.FAIL, "step-other-model", why)
    gone = [path for path in products if path not in final]
    if gone:
        shown = some([visible(path, 60) for path in gone])
        # As in in-toto: a step may leave what is not handed on. It is told, since a file may have been taken away.
        notes.append(f'the last step, "{visible(steps[-1].name, 40)}", left more than is here: {shown}')
    return tuple(step.name for step in steps), notes


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InputError(BAD, f'the layout expires at "{visible(text, 40)}", which is no time')
    return time


def _key(name: str, value: Any) -> Key | None:
    return read_key(need(value, dict, BAD, "a key of the layout"), name)


def _list(body: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    rows: list[Any] = maybe(dict(body), key, [], BAD)
    if len(rows) > MOST_STEPS:
        raise InputError(BAD, f'the layout has {len(rows)} items in "{key}"')
    return [need(row, dict, BAD, f'an item of "{key}"') for row in rows]


def _step(row: dict[str, Any]) -> _Step:
    threshold = maybe(row, "threshold", 1, BAD)
    if threshold < 1:
        raise InputError(BAD, "a step with a threshold below 1 would pass what nobody signed")
    words: list[Any] = maybe(row, "expected_command", [], BAD)
    keys: list[Any] = maybe(row, "pubkeys", [], BAD)
    return _Step(
        name=take(row, "name", str, BAD, "a step"),
        keys=tuple(dict.fromkeys(str(key) for key in keys)),
        threshold=threshold,
        command=tuple(str(word) for word in words),
        expected=Link(maybe(row, "expected_materials", [], BAD), maybe(row, "expected_products", [], BAD)),  # type: ignore[arg-type]
    )


def _link_of(
    step: _Step, keys: Mapping[str, Key | None], files: Mapping[str, bytes], notes: list[str]
) -> Link:
    name = visible(step.name, 40)
    found: dict[bytes, Signed] = {}
    unread = []
    for key_id in step.keys:
        data = files.get(f"{step.name}.{key_id[:8]}.link")
        key = keys.get(key_id)
        if data is None or key is None:
            if data is not None and key_id in keys:
                unread.append(f"a link by {visible(key_id, 8)} is signed in a way that is not understood")
            continue
        try:
            signed = read_signed(data, f'the link of "{name}"')
        except (InputError, LimitError) as error:
            unread.append(error.message)
            continue
        if signed.is_signed_by(key):
            found[key.identity] = signed
    if len(found) < step.threshold:
        outcome = Outcome.UNKNOWN if unread else Outcome.FAIL
        more = f" ({'; '.join(unread[:3])})" if unread else ""
        why = f'the step "{name}" has {counted(len(found), "good link")}, {step.threshold} wanted{more}'
        raise _EndError(outcome, "step-missing", why)
    links = [_link(signed, step.name) for signed in found.values()]
    if any(link != links[0] for link in links):
        raise _EndError(Outcome.FAIL, "step-disputed", f'those who did the step "{name}" do not say the same')
    notes += _other_command(step, found.values())
    return links[0]


def _link(signed: Signed, name: str) -> Link:
    if signed.body.get("_type") == "layout":
        raise _EndError(
            Outcome.UNKNOWN, "layout-nested", f'the step "{visible(name, 40)}" is a layout of its own'
        )
    if signed.body.get("_type") != "link" or signed.body.get("name") != name:
        raise _EndError(Outcome.FAIL, "step-other", f'the link of "{visible(name, 40)}" is of another step')
    return Link(_files(signed.body, "materials"), _files(signed.body, "products"))


def _files(body: Mapping[str, Any], key: str) -> Files:
    files = take(dict(body), key, dict, BAD, "a link")
    for path, hashes in files.items():
        if (
            not isinstance(hashes, dict)
            or not hashes
            or not all(isinstance(one, str) for one in hashes.values())
        ):
            raise InputError(BAD, f'"{visible(path, 60)}" of a link is known by name only')
    return files


def _other_command(step: _Step, links: Any) -> Iterator[str]:
    """A command that differs is told, and decides nothing: so says the specification (section 4.3.1)."""
    for signed in links:
        command = signed.body.get("command")
        if step.command and isinstance(command, list) and tuple(map(str, command)) != step.command:
            yield f'"{visible(step.name, 40)}" ran {visible(" ".join(map(str, command)), 100)}, not the command of the layout'


def _hold(name: str, expected: Link, link: Link, links: Mapping[str, Link]) -> None:
    for side, rules, artifacts in (
        ("took", expected.materials, link.materials),
        ("left", expected.products, link.products),
    ):
        broken = broken_rule(rules, artifacts, link, links)  # type: ignore[arg-type]
        if broken:
            raise _EndError(
                Outcome.FAIL, "step-rule", f'what "{visible(name, 40)}" {side} breaks a rule: {broken}'
            )


def _measured(manifest: Manifest) -> Files:
    if any(entry.sha256 is None for entry in manifest.entries):
        raise _EndError(
            Outcome.UNKNOWN, "not-measured", "a layout names files by SHA-256, and some have none here"
        )
    return {entry.path: {"sha256": (entry.sha256 or b"").hex()} for entry in manifest.entries}


def _inspect(row: dict[str, Any], final: Files, links: Mapping[str, Link]) -> None:
    name = take(row, "name", str, BAD, "an inspection")
    here = Link(final, final)
    broken = broken_rule(maybe(row, "expected_materials", [], BAD), final, here, {**links, name: here})
    if broken:
        raise _EndError(
            Outcome.FAIL, "step-rule", f'the inspection "{visible(name, 40)}" meets a broken rule: {broken}'
        )
    if maybe(row, "expected_products", [], BAD):
        why = f'the inspection "{visible(name, 40)}" asks what its command leaves, and no command of a layout is run'
        raise _EndError(Outcome.UNKNOWN, "inspection-not-run", why)
