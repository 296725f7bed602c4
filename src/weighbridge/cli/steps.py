"""What `run`, `plan` and `intake` share: whom to believe, how they answer, and how a refusal is told."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import StepRefused

if TYPE_CHECKING:
    from weighbridge.trust.keyring import Keyring


def keyring_of(options: argparse.Namespace) -> "Keyring":
    """The keyring's folder: keys of the command line have no roles, and count for nothing here."""
    from weighbridge.cli.request import chosen_keyring, chosen_policy

    policy = chosen_policy(options.policy, ())
    return chosen_keyring(argparse.Namespace(trust=options.trust), policy, "")


def told(options: argparse.Namespace, work: Callable[[], int]) -> int:
    """Do the work; a refusal is told with all its reasons, and is exit 1."""
    try:
        return work()
    except StepRefused as refusal:
        return _refused(options, refusal)


def _refused(options: argparse.Namespace, refusal: StepRefused) -> int:
    from weighbridge.core.text import visible

    code = int(refusal.exit_code)
    error = {
        "code": refusal.code, "message": refusal.message, "hints": list(refusal.hints), "exit_code": code,
    }  # fmt: skip
    reasons = [{"code": code, "why": why} for code, why in refusal.reasons]
    lines = [f"REFUSED  {visible(refusal.message)}   [{refusal.code}]"]
    lines += [f"  {visible(why)}   [{code}]" for code, why in refusal.reasons]
    lines += [f"  next     {visible(hint)}" for hint in refusal.hints[:2]]
    return answer(options, "refused", {"reasons": reasons, "error": error}, lines, code)


def answer(
    options: argparse.Namespace,
    word: str,
    body: dict[str, Any],
    lines: list[str],
    code: int = 0,
    *,
    verdict: int = 0,
) -> int:
    """The answer as JSON, or as lines for people, of which one is the verdict; returns the code."""
    from weighbridge.cli.output import schema, tell

    document = {"schema": schema(options.command), "command": options.command}
    if action := getattr(options, "verb", None):
        document["action"] = action
    talk = options.command == "run"  # standard output belongs to the command that it runs
    return tell(options, {**document, "verdict": word, **body}, lines, code=code, verdict=verdict, talk=talk)
