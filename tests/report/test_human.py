"""The screens as people see them, whole; colour changes nothing but colour."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from tests.report import reports
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Place, Unread
from weighbridge.core.report import Report
from weighbridge.core.verdict import Decision, Verdict
from weighbridge.report import render

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def test_refused() -> None:
    assert render(reports.refused()) == snapshot("""\
REFUSED  chat-7b  sha256:5f1c…9e02   4 files, 13.5 GB   policy production

  ✓ signed   release@acme.example, key ECDSA P-256, 2026-11-20
  ✓ intact   4 of 4 files equal what was signed
  ✗ safe     1 of 4 files can run code when loaded       failed  [error-finding]
  ✓ read     4 of 4 files
  ? data     training set not stated                           unknown, admitted

error[pickle-unsafe-call]: loading this file runs a shell command
  extra/head.bin › archive/data.pkl › byte 42
      30  GLOBAL   posix system
      42  REDUCE   ('curl …',)            calls posix.system
  fix   weighbridge convert ./chat-7b --drop extra/head.bin
  more  weighbridge rule pickle-unsafe-call

warning[config-remote-code]: config asks the loader to run code from the repository (medium confidence)
  config.json › line 9
      "auto_map": {"AutoModel": "modeling_x.XModel"}
  more  weighbridge rule config-remote-code

suppressed until 2027-02-01: config-remote-code in config.json: modeling_x.py was read by two people

REFUSED: 1 error, 1 warning, 1 unknown admitted, 1 suppressed. 4 of 4 files read, 3.1 s.  exit 1
""")


def test_verified() -> None:
    assert render(reports.verified()) == snapshot("""\
VERIFIED  chat-7b  sha256:5f1c…9e02

  by      release@acme.example  (publisher)
  how     OpenSSF model signing 1.0, key ECDSA P-256
  when    2026-11-20 14:02 UTC
  covers  4 of 4 files; none extra, missing or changed
  ? unknown  chat-7b/model.sig.2: nobody in the keyring has this key   [signer-unknown]

VERIFIED: 2 signatures, 4 files, 0.1 s.                                   exit 0
""")


def test_tampered() -> None:
    assert render(reports.tampered()) == snapshot("""\
NOT VERIFIED  chat-7b  sha256:c09d…41aa

  ✗ intact   4 files differ from what was signed       failed  [contents-differ]
  changed        model.safetensors
  changed        tokenizer_config.json
  extra          adapter.bin
  missing        LICENSE
  tensor changed layers.17.down_proj
  tensor changed layers.17.up_proj

NOT VERIFIED: intact failed. 1 signature, 4 files, 0.1 s.                 exit 1
""")


def test_unsigned() -> None:
    assert render(reports.unsigned()) == snapshot("""\
UNDECIDED  chat-7b  sha256:c09d…41aa

  ? signed   no signature found                          unknown  [no-signature]
      looked in chat-7b/model.sig
  ? intact   nothing to compare with                     unknown  [no-signature]

UNDECIDED: signed unknown, intact unknown. 0 signatures, 4 files, 0.0 s.  exit 3
""")


def test_undecided_scan() -> None:
    assert render(reports.undecided()) == snapshot("""\
UNDECIDED  downloads  sha256:c09d…41aa   41 files, 3.2 GB: 38 read, 2 not understood, 1 over limits

  ? a.rknn, b.rknn   format not supported   [format-unknown]
  ? big.zip          stopped at 10 GiB unpacked   [limit-bytes]   raise --max-bytes

warning[config-remote-code]: config asks the loader to run code from the repository (medium confidence)
  config.json › line 9
      "auto_map": {"AutoModel": "modeling_x.XModel"}
  more  weighbridge rule config-remote-code

UNDECIDED: read unknown, 0 errors, 1 warning, 3 files unread. 38 of 41 files read, 12.4 s.  exit 3
""")


def test_quiet_is_the_last_line() -> None:
    assert render(reports.refused(), quiet=True) == render(reports.refused()).splitlines()[-1] + "\n"


def test_exit_zero_is_said() -> None:
    assert render(reports.refused(), exit_code=0).endswith("exit 0\n")


@pytest.mark.parametrize("report", [make() for make in reports.EVERY], ids=lambda r: r.command)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_colour_and_width_change_no_word(report: Report, width: int) -> None:
    plain = render(report, width=80)
    colored = render(report, color=True, width=width)
    assert "\x1b[" not in plain
    assert "\x1b[" in colored
    assert ANSI.sub("", colored).split() == plain.split()


@pytest.mark.parametrize("make", reports.EVERY)
def test_verdict_first_and_last(make: object) -> None:
    lines = render(make()).splitlines()  # type: ignore[operator]
    word = re.match(r"[A-Z ]+(?=  )", lines[0])
    assert word is not None
    assert lines[-1].startswith(f"{word[0]}: ")
    assert re.search(r"exit \d$", lines[-1])


def test_unsigned_but_admitted_is_never_called_verified() -> None:
    """A policy with signature = "optional" admits; the word VERIFIED would claim a signature."""
    admitted = Verdict(decision=Decision.ADMITTED, admitted_unknowns=("signed", "intact"))
    screen = render(replace(reports.unsigned(), verdict=admitted))
    assert screen.startswith("ADMITTED  chat-7b")
    assert "VERIFIED" not in screen
    assert "? signed   no signature found" in screen
    assert "unknown, admitted" in screen


def test_scan_says_why_when_nothing_else_does() -> None:
    empty = replace(
        reports.undecided(),
        findings=(),
        unread=(),
        files=(),
        evidence=(
            reports.row("safe", Outcome.UNKNOWN, "there is no file to examine", code="nothing-examined"),
        ),
    )
    assert "? safe     there is no file to examine" in render(empty)


def test_floods_are_counted() -> None:
    flood = replace(
        reports.refused(),
        findings=(reports.SHELL,) * 70,
        unread=tuple(Unread(place=Place(path=f"f{i}"), code="unreadable", message="no") for i in range(9)),
        suppressed=reports.refused().suppressed * 30,
    )
    screen = render(flood)
    assert screen.count("error[pickle-unsafe-call]") == 50
    assert "20 more findings not shown (-v, or --format json)" in screen
    assert "f0, f1, f2 and 6 more" in screen
    assert "and 10 more suppressed (-v shows all)" in screen
    assert "70 errors, 1 unknown admitted, 30 suppressed, 9 files unread" in screen
    assert render(flood, verbose=True).count("error[pickle-unsafe-call]") == 70


def test_min_severity_hides_and_counts() -> None:
    screen = render(reports.refused(), min_severity="error")
    assert "warning[" not in screen
    assert "1 finding below error not shown (--min-severity)" in screen
    assert "1 error, 1 warning" in screen.splitlines()[-1]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=40))
def test_hostile_names_stay_on_their_line(text: str) -> None:
    report = reports.hostile(text)
    harmless = render(reports.hostile("x" * 5))
    screen = render(report)
    assert len(screen.splitlines()) == len(harmless.splitlines())
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]", screen
    )
