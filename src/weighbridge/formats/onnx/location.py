"""Where an external path of an ONNX model may lead, judged as text.

Whether the file exists, or is a link, only the whole artifact shows.
"""

from weighbridge.core.pattern import late
from weighbridge.formats.onnx.work import MAX_TEXT

_DRIVE = late(r"[A-Za-z]:")
_ENCODED = late(r"(?i)(?:%2e|\.){2}(?:%2f|%5c|/)")
"""`../` as addresses spell it; nobody writes it but to slip past whoever compares."""
_SCHEME = late(r"[A-Za-z][A-Za-z0-9+.-]+:")


def location_problem(location: str) -> str:
    """Why an external path may lead out of the model's folder: `absolute`, `parent`, `url`, …; "" when it cannot."""
    parts = location.split("/")
    checks = (
        ("empty", not location.strip()),
        ("too-long", len(location) >= MAX_TEXT),
        ("memory-address", "_ORT_MEM_ADDR_" in location),
        ("control-character", not location.isprintable()),
        ("drive", bool(_DRIVE.match(location))),
        ("url", bool(_SCHEME.match(location)) or "://" in location),
        ("absolute", location.startswith(("/", "\\", "~"))),
        ("backslash", "\\" in location),
        ("parent", ".." in (part.strip() for part in parts) or bool(_ENCODED.search(location))),
        ("directory", parts[-1] in ("", ".")),
    )
    return next((problem for problem, found in checks if found), "")


def normal(location: str) -> str:
    """The path without `./` and doubled slashes."""
    return "/".join(part for part in location.split("/") if part not in ("", "."))
