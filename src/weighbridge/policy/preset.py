"""Presets: whole policies shipped as data (`presets/NAME.toml`), to be used as they are or extended by a file."""

from pathlib import Path

PRESETS: dict[str, str] = {
    "default": "what is asked when nobody wrote a policy: signed, unchanged, no error; what is unknown stays undecided",
    "production": "a gate before serving: a missing or unknown signature refuses, the rest waits for a person",
    "strict": "no warnings, and whatever has no answer refuses",
    "field": "a small machine with no network and nobody to ask, such as a clinic: admitted or refused, never a maybe",
    "research": "unsigned models may pass; nothing that runs code may",
}
"""Name → what it is for, in one line."""


def presets() -> tuple[str, ...]:
    """The names of the presets."""
    return tuple(PRESETS)


def preset_bytes(name: str) -> bytes:
    """The TOML of a preset."""
    return (
        Path(__file__).parent / "presets" / f"{name}.toml"
    ).read_bytes()  # importlib.resources costs 10 ms to import
