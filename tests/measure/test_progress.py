"""The progress line: on a terminal only, not at once, and gone in the end."""

import io
from typing import Any

import pytest
from inline_snapshot import snapshot

from weighbridge.measure import ProgressLine, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setenv("COLUMNS", "100")
    return Clock(monkeypatch)


def test_it_is_silent_off_a_terminal(clock: Clock) -> None:
    stream = io.StringIO()
    with ProgressLine(100, stream) as line:
        clock.now += 10
        line.advance(50, "f")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("options", [{"enabled": False}, {}])
def test_it_is_silent_for_half_a_second_and_when_told(clock: Clock, options: Any) -> None:
    stream = Terminal()
    with ProgressLine(100, stream, **options) as line:
        clock.now += 0.4 if not options else 10
        line.advance(50, "f")
    assert stream.getvalue() == ""


def test_it_shows_file_bytes_rate_and_time_left(clock: Clock) -> None:
    stream = Terminal()
    with ProgressLine(13_500_000_000, stream) as line:
        clock.now += 2
        line.advance(3_000_000_000, "model-00001.safetensors")
        line.advance(1, "not again within a tenth of a second")
    assert stream.getvalue() == snapshot(
        "\rhashing  model-00001.safetensors  3.0 GB of 13.5 GB  1.5 GB/s  7 s left\x1b[K\r\x1b[K"
    )


def test_it_is_one_harmless_line(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    line = ProgressLine(10, stream, verb="reading")
    clock.now += 4000
    line.advance(1, "a" * 100 + "\n\x1b[31m")
    shown = stream.getvalue()
    assert len(shown) == 1 + 29 + 3
    assert "\n" not in shown
    assert "\x1b[31m" not in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (59.2, "1:00 min"), (61, "1:01 min"), (3601, "1:00 h")]
)
def test_clock(seconds: float, text: str) -> None:
    assert progress._clock(seconds) == text
