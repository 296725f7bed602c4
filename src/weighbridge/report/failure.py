"""How an error is told: two or three lines for people, or one JSON document (schemas/error.v1.json)."""

from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.text import visible
from weighbridge.report.json import document_text

SCHEMA = "weighbridge.error/v1"


def text(error: WeighbridgeError, *, color: bool = False) -> str:
    """The lines for people: what, the code, and at most two hints."""
    word = "\x1b[1;31merror\x1b[0m" if color else "error"
    hints = "".join(f"  hint       {visible(hint)}\n" for hint in error.hints[:2])
    return f"{word}: {visible(error.message)}   [{error.code}]\n{hints}"


def document(error: WeighbridgeError) -> str:
    """The `weighbridge.error/v1` document."""
    body = {
        "code": error.code,
        "message": error.message,
        "hints": list(error.hints),
        "exit_code": int(error.exit_code),
    }
    return document_text({"schema": SCHEMA, "error": body})
