"""Markdown, JUnit, GitHub annotations and GitLab code quality: right, and deaf to what a model says."""

import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from markdown_it import MarkdownIt

from tests.report import reports
from weighbridge.report import render

ANY_TEXT = st.text(st.characters(), min_size=1, max_size=40) | st.text(
    "`|[]()<>!*_#\\:/ \n@%,ab", min_size=1, max_size=40
)


# Markdown.


def test_markdown() -> None:
    assert render(reports.refused(), "markdown") == snapshot("""\
## ✗ REFUSED: `chat-7b`

`sha256:5f1c…9e02`, 4 files, 13.5 GB, policy `production`

- ✓ `signed` pass: `key ECDSA P-256, 2026-11-20`
- ✓ `intact` pass: `4 of 4 files equal what was signed`
- ✗ `safe` **fail**: `1 of 4 files can run code when loaded`
- ✓ `read` pass: `4 of 4 files`
- ? `data` unknown, admitted: `training set not stated`

### Signatures

- pass: `signed by release@acme.example`; by `release@acme.example`; how `OpenSSF model signing 1.0, key ECDSA P-256`; when `2026-11-20T14:02:00Z`; covers `4 of 4 files; none extra, missing or changed`

### Findings

- **error** `pickle-unsafe-call` in `extra/head.bin › archive/data.pkl › byte 42`: `loading this file runs a shell command`
  - `30  GLOBAL   posix system`
  - `42  REDUCE   ('curl …',)            calls posix.system`
  - fix: `weighbridge convert ./chat-7b --drop extra/head.bin`

- **warning** `config-remote-code` in `config.json › line 9`: `config asks the loader to run code from the repository`
  - `"auto_map": {"AutoModel": "modeling_x.XModel"}`

### Suppressed

- `config-remote-code` in `config.json` until `2027-02-01`: `modeling_x.py was read by two people`

**REFUSED**: `1 error, 1 warning, 1 unknown admitted, 1 suppressed`. 4 of 4 files read, 3.1 s.
""")


def test_markdown_of_a_scan() -> None:
    assert render(reports.undecided(), "markdown") == snapshot("""\
## ? UNDECIDED: `downloads`

`sha256:c09d…41aa`, 41 files, 3.2 GB, policy `default`

- ✓ `safe` pass: `no error and no doubt in 41 files`
- ? `read` unknown: `3 of 41 files not read whole`

### Findings

- **warning** `config-remote-code` in `config.json › line 9`: `config asks the loader to run code from the repository`
  - `"auto_map": {"AutoModel": "modeling_x.XModel"}`

### Not read

- `a.rknn`, `b.rknn`: `format not supported` (`format-unknown`)
- `big.zip`: `stopped at 10 GiB unpacked` (`limit-bytes`)

**UNDECIDED**: `read unknown, 0 errors, 1 warning, 3 files unread`. 38 of 41 files read, 12.4 s.
""")


def tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) of every inline token, as a renderer with links and HTML switched on sees it."""
    parsed = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").parse(text)
    return [(t.type, t.content) for block in parsed for t in (block.children or [block])]


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
def test_markdown_keeps_foreign_text_in_code_spans(text: str) -> None:
    """The structure of the document does not depend on what the names are; nothing foreign stands outside code."""
    hostile = tokens(render(reports.hostile(text), "markdown"))
    harmless = tokens(render(reports.hostile("x"), "markdown"))
    assert [kind for kind, _ in hostile] == [kind for kind, _ in harmless]
    assert [c for kind, c in hostile if kind == "text"] == [c for kind, c in harmless if kind == "text"]


@pytest.mark.parametrize(
    "text", ["`", "``", "a`b``c", "[x](http://e)", "<img src=x>", "@team", "https://evil", "a\nb", "\\"]
)
def test_markdown_code_shows_the_text(text: str) -> None:
    shown = [
        content
        for kind, content in tokens(render(reports.hostile(text), "markdown"))
        if kind == "code_inline"
    ]
    assert text.replace("\n", "\\n") in shown


# JUnit.


def test_junit() -> None:
    assert render(reports.refused(), "junit") == snapshot("""\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="weighbridge check"><testsuite name="REFUSED chat-7b" time="3.140" timestamp="2026-11-20T14:05:00Z" tests="5" failures="1" errors="0" skipped="1"><testcase classname="weighbridge" name="signed"><system-out>key ECDSA P-256, 2026-11-20</system-out></testcase><testcase classname="weighbridge" name="intact"><system-out>4 of 4 files equal what was signed</system-out></testcase><testcase classname="weighbridge" name="safe"><failure message="1 of 4 files can run code when loaded" type="error-finding">1 of 4 files can run code when loaded</failure></testcase><testcase classname="weighbridge" name="read"><system-out>4 of 4 files</system-out></testcase><testcase classname="weighbridge" name="data"><skipped message="unknown, admitted: training set not stated" /></testcase></testsuite><testsuite name="files of chat-7b" tests="4" failures="1" errors="0" skipped="0"><testcase classname="weighbridge.files" name="config.json"><system-out>warning[config-remote-code] line 9 config asks the loader to run code from the repository</system-out></testcase><testcase classname="weighbridge.files" name="extra/head.bin"><failure message="error[pickle-unsafe-call] archive/data.pkl › byte 42 loading this file runs a shell command" type="pickle-unsafe-call">error[pickle-unsafe-call] archive/data.pkl › byte 42 loading this file runs a shell command</failure></testcase><testcase classname="weighbridge.files" name="model.safetensors" /><testcase classname="weighbridge.files" name="tokenizer.json" /></testsuite></testsuites>
""")


def test_junit_of_a_scan() -> None:
    root = ElementTree.fromstring(render(reports.undecided(), "junit"))
    questions, files = root
    assert questions.attrib["errors"] == "1"
    assert {case.attrib["name"]: [child.tag for child in case] for case in files} == {
        "config.json": ["system-out"],
        "a.rknn": ["error"],
        "b.rknn": ["error"],
        "big.zip": ["error"],
    }


@settings(max_examples=100, deadline=None)
@given(ANY_TEXT)
def test_junit_is_xml_whatever_the_names(text: str) -> None:
    root = ElementTree.fromstring(render(reports.hostile(text), "junit"))
    assert [suite.tag for suite in root] == ["testsuite", "testsuite"]
    assert {element.tag for element in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["]]>", "<!--", "\ufffe", "\x00", "&x;", "\ud800"])
def test_junit_with_what_xml_forbids(text: str) -> None:
    document = render(reports.hostile(text), "junit")
    document.encode("utf-8")
    ElementTree.fromstring(document)


# GitHub.


def test_github() -> None:
    assert render(reports.refused(), "github", prefix="models/chat-7b") == snapshot("""\
weighbridge: REFUSED chat-7b
::error file=models/chat-7b/extra/head.bin,line=1,title=pickle-unsafe-call::loading this file runs a shell command (archive/data.pkl › byte 42)
::warning file=models/chat-7b,line=1,title=data unknown::training set not stated
::warning file=models/chat-7b/config.json,line=9,title=config-remote-code::config asks the loader to run code from the repository (line 9)
weighbridge: REFUSED: 1 error, 1 warning, 1 unknown admitted, 1 suppressed. 4 of 4 files read, 3.1 s.
""")


def test_github_of_a_scan() -> None:
    assert render(reports.undecided(), "github") == snapshot("""\
weighbridge: UNDECIDED downloads
::warning file=config.json,line=9,title=config-remote-code::config asks the loader to run code from the repository (line 9)
::warning file=a.rknn,line=1,title=format-unknown::not read: format not supported
::warning file=b.rknn,line=1,title=format-unknown::not read: format not supported
::warning file=big.zip,line=1,title=limit-bytes::not read: stopped at 10 GiB unpacked
weighbridge: UNDECIDED: read unknown, 0 errors, 1 warning, 3 files unread. 38 of 41 files read, 12.4 s.
""")


COMMAND = re.compile(r"::(error|warning|notice) (file=[^:,]*,line=\d+,)?title=[^:,]*::[^\n\r]*")


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT | st.text("::error %0A\n\r,=##[]", min_size=1, max_size=40))
def test_github_lines_are_only_ours(text: str) -> None:
    lines = render(reports.hostile(text), "github").split("\n")
    harmless = render(reports.hostile("x"), "github").split("\n")
    assert len(lines) == len(harmless)
    for line, expected in zip(lines, harmless, strict=True):
        assert COMMAND.fullmatch(line) or line.startswith("weighbridge: ") or line == ""
        assert line[:9] == expected[:9]
        assert not re.search(r"[\x00-\x1f\x7f\u2028\u2029]", line)


def test_github_counts_what_it_would_drop() -> None:
    text = render(replace(reports.refused(), findings=(reports.SHELL,) * 25), "github")
    assert text.count("::error ") == 10
    assert "weighbridge: 15 more errors (--format json lists all)" in text


# GitLab.


def test_gitlab() -> None:
    issues = json.loads(render(reports.refused(), "gitlab", prefix="models/chat-7b"))
    assert [(i["check_name"], i["severity"], i["location"]) for i in issues] == [
        ("question-data", "minor", {"path": "models/chat-7b", "lines": {"begin": 1}}),
        ("pickle-unsafe-call", "critical", {"path": "models/chat-7b/extra/head.bin", "lines": {"begin": 1}}),
        ("config-remote-code", "major", {"path": "models/chat-7b/config.json", "lines": {"begin": 9}}),
    ]
    assert issues[1]["description"] == "loading this file runs a shell command (archive/data.pkl › byte 42)"


def test_gitlab_fingerprints_are_unique() -> None:
    issues = json.loads(render(replace(reports.refused(), findings=(reports.SHELL,) * 3), "gitlab"))
    assert len({issue["fingerprint"] for issue in issues}) == len(issues) == 4


@settings(max_examples=60, deadline=None)
@given(ANY_TEXT)
def test_gitlab_with_any_name(text: str) -> None:
    document = render(reports.hostile(text), "gitlab")
    assert document.isascii()
    for issue in json.loads(document):
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}


@pytest.mark.parametrize("make", reports.EVERY)
@pytest.mark.parametrize("format_name", ["markdown", "junit", "github", "gitlab"])
def test_every_report_in_every_format(make: Any, format_name: str) -> None:
    report = make()
    text = render(report, format_name)
    assert text.endswith("\n")
    for finding in report.findings:
        assert finding.rule in text
    for item in report.unread:
        assert item.place.path in text
