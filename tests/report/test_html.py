"""The page: whole, self-contained, and nothing that a model says can act in it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report import reports
from weighbridge.report import RulePage, render

VOID = {"meta", "br"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "h3", "p", "ul", "li", "section",
    "div", "table", "thead", "tbody", "tr", "th", "td", "span", "code", "pre", "bdi", "br", "article", "details",
    "summary", "dl", "dt", "dd", "footer",
}  # fmt: skip


class Page(HTMLParser):
    """Checks nesting and collects tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def assert_harmless(text: str) -> Page:
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag in ALLOWED
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in {"src", "href", "style", "action", "srcset", "data"}
            assert "://" not in (value or "")
    assert "@import" not in text
    assert "url(" not in text.split("</style>")[0]
    assert text.count("</style>") == 1
    return page


@pytest.mark.parametrize("make", reports.EVERY)
def test_pages(make: Any) -> None:
    report = make()
    page = assert_harmless(render(report, "html"))
    words = " ".join(page.text.split())
    for row in report.evidence:
        assert row.why in words
    for finding in report.findings:
        assert finding.message in words
    for item in report.unread:
        assert item.place.path in words
    for reason in report.verdict.reasons:
        assert reason in words


def test_state_is_never_colour_alone() -> None:
    words = " ".join(assert_harmless(render(reports.refused(), "html")).text.split())
    assert "✗ REFUSED chat-7b" in words
    assert "✗ fail" in words
    assert "? unknown, admitted" in words
    assert "error pickle-unsafe-call" in words
    assert "Exit code 1." in words


def test_the_page_forbids_scripts_by_itself() -> None:
    page = Page(render(reports.refused(), "html"))
    (policy,) = (a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert ("html", {"lang": "en"}) in page.tags


def test_rule_pages_are_shown_as_text() -> None:
    pages = {"pickle-unsafe-call": RulePage(summary="A call.", help="<b>help</b>")}
    page = assert_harmless(render(reports.refused(), "html", rules=pages))
    assert "<b>help</b>" in page.text


def test_long_lists_are_counted() -> None:
    report = reports.refused()
    many = replace(report, files=report.files * 600, findings=report.findings * 300)
    words = " ".join(assert_harmless(render(many, "html")).text.split())
    assert "400 more files stand in the JSON report." in words
    assert "100 more findings stand in the JSON report." in words


CSS = (Path(__file__).parents[2] / "src/weighbridge/report/templates/report.css").read_text()


def luminance(color: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast_is_aa(scheme: int) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text, in both schemes."""
    block = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[scheme]
    colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    pairs = [
        (ink, paper) for ink in ("ink", "quiet", "pass", "fail", "unknown") for paper in ("paper", "soft")
    ]
    pairs += [(word, f"{word}-soft") for word in ("pass", "fail", "unknown")]
    pairs += [("ink", f"{word}-soft") for word in ("pass", "fail", "unknown")]
    for ink, paper in pairs:
        light, dark = sorted((luminance(colors[ink]), luminance(colors[paper])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>",
    "</title><svg onload=1>",
    "{{ 7*7 }}{% raw %}",
    "' onmouseover='x",
    "javascript:alert(1)",
    "a\u202eb\x00\x1b[31m\udcff",
    "]]><x>",
    "&lt;script&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names(text: str) -> None:
    page = assert_harmless(render(reports.hostile(text), "html"))
    assert not {"\u202e", "\x00", "\x1b"} & set(page.text)
    assert "49" not in page.text


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(), min_size=1, max_size=40) | st.text("<>&\"'/=-! abc{}%", min_size=1, max_size=40)
)
def test_any_name(text: str) -> None:
    assert_harmless(render(reports.hostile(text), "html"))
