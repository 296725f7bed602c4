"""The examples of docs/predicates/*.md: one whole statement a kind."""

import copy
import json
import re
from pathlib import Path
from typing import Any

from weighbridge.attest.predicates import KINDS

ROOT = Path(__file__).parents[2]
EXAMPLES: dict[str, dict[str, Any]] = {}
for _kind in KINDS:
    _page = (ROOT / f"docs/predicates/{_kind.word}.md").read_text("utf-8")
    _found = re.search(r"```json\n(.*?)```", _page, re.DOTALL)
    assert _found, _kind.word
    EXAMPLES[_kind.word] = json.loads(_found[1])


def example(word: str) -> dict[str, Any]:
    """A copy of the statement."""
    return copy.deepcopy(EXAMPLES[word])


def payload(word: str) -> bytes:
    """The statement as it is signed."""
    return json.dumps(EXAMPLES[word], separators=(",", ":"), ensure_ascii=False).encode()


def schema(word: str) -> dict[str, Any]:
    """The kind's JSON schema."""
    found: dict[str, Any] = json.loads((ROOT / f"schemas/predicates/{word}.v1.json").read_text("utf-8"))
    return found
