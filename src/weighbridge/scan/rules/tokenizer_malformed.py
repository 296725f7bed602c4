"""The rule `tokenizer-malformed`."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.json import JsonReading, Path
from weighbridge.formats.reading import Reading
from weighbridge.scan.orders import against_user
from weighbridge.scan.rule import Rule

_ADDRESS = late(r"(?i)https?://[\w.-]{3,}|\b(?:0x[0-9a-f]{40}|bc1[0-9a-z]{20,})\b")
_QUERY = late(r"(?i)https?://[\w.-]{3,}\S{0,200}[?&]\w{0,40}=")
_WORDS = late(r"[^\W\d_]{3,}")
MOST_ID = 2**31
MAX_ADDED = 50_000
MAX_FINDINGS = 10


class TokenizerMalformed(Rule):
    """
    ## What it does
    Looks in `tokenizer.json` and the files beside it for tokens with ids below zero or beyond all tables, added tokens that
    are an order or an address which carries data, and normalizers and decoders that exchange words or addresses for others.

    ## Why is this bad?
    An id is an index into the table of embeddings. A decoder that writes another address than the model did changes every
    answer, and the weights stay what they were.

    ## Example
    ```json
    {"decoder": {"type": "Replace", "pattern": {"String": "https://example.org"}, "content": "https://example.com/weighbridge-sample"}}
    ```

    ## Use instead
    Tokenizers as the library writes them: `Replace` exchanges blanks and signs only.

    ## Known problems
    Words exchanged for words, as some normalizers do, are undecided.

    ## References
    - CWE-129
    """

    name = "tokenizer-malformed"
    summary = "a tokenizer has impossible ids, or changes what is said"
    severity = Severity.ERROR
    since = "0.1"
    formats = ("json",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Ten findings at most."""
        name = (place.parts[-1] if place.parts else place.path).rpartition("/")[2].lower()
        if not isinstance(reading, JsonReading) or not (
            "tokenizer" in name or name.startswith(("added_tokens", "vocab", "special_tokens"))
        ):
            return
        for path, message, doubt in islice(_told(reading, name), MAX_FINDINGS):
            where = replace(place, line=reading.line(path))
            yield self.finding(where, message, severity=Severity.WARNING if doubt else None, doubt=doubt)


def _told(reading: JsonReading, name: str) -> Iterator[tuple[Path, str, bool]]:
    value = reading.value
    if not isinstance(value, dict):
        return
    tables: list[tuple[Path, Any]] = [(("model", "vocab"), _in(value, "model", "vocab"))]
    if name.startswith(("added_tokens", "vocab")):
        tables.append(((), value))
    for path, table in tables:
        for token, number in table.items() if isinstance(table, dict) else ():
            if isinstance(number, int) and not 0 <= number < MOST_ID:
                yield path, f'the token "{visible(str(token), 60)}" has the impossible id {number}', False
                break
    yield from _added(value)
    for path, item in reading.objects:
        if item.get("type") == "Replace" and isinstance(item.get("content"), str):
            yield from _replaced(path, item)


def _in(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _added(value: dict[str, Any]) -> Iterator[tuple[Path, str, bool]]:
    listed = value.get("added_tokens")
    decoder = value.get("added_tokens_decoder")
    tokens = [
        *(listed if isinstance(listed, list) else ()),
        *(decoder.values() if isinstance(decoder, dict) else ()),
    ]
    for token in tokens[:MAX_ADDED]:
        if not isinstance(token, dict):
            continue
        number, text = token.get("id"), token.get("content")
        if isinstance(number, int) and not 0 <= number < MOST_ID:
            yield ("added_tokens",), f"an added token has the impossible id {number}", False
        if isinstance(text, str) and len(text) > 8:
            order, _ = against_user(text)
            if order or _QUERY.search(text):
                yield (
                    ("added_tokens",),
                    f'an added token {order or "is an address that carries data"}: "{visible(text, 80)}"',
                    False,
                )


def _replaced(path: Path, item: dict[str, Any]) -> Iterator[tuple[Path, str, bool]]:
    pattern = item.get("pattern")
    before = (
        next((v for v in pattern.values() if isinstance(v, str)), "") if isinstance(pattern, dict) else ""
    )
    after = item["content"]
    shown = f'"{visible(before, 60)}" for "{visible(after, 60)}"'
    if _ADDRESS.search(after):
        yield path, f"exchanges {shown}", False
    elif _WORDS.search(after) and "<" not in after and "[" not in after:
        yield path, f"exchanges {shown}", True
