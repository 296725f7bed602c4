"""JUnit XML for CI systems that know nothing newer: a test case for every question and for every file.

FAIL is a `failure`, UNKNOWN an `error` (it did not answer), an admitted UNKNOWN `skipped`. The written form is the one
that Jenkins and GitLab read; there is no official schema.
"""

from collections import defaultdict
from xml.etree.ElementTree import Element, SubElement, tostring

from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Finding, Unread
from weighbridge.core.report import Report
from weighbridge.core.text import visible
from weighbridge.report.summary import verdict_word


def render(report: Report) -> str:
    """The document: one suite for the questions, one for the files."""
    root = Element("testsuites", name=f"weighbridge {report.command}")
    for suite in (_questions(report), _files(report)):
        if len(suite):
            _count(suite)
            root.append(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _questions(report: Report) -> Element:
    name = f"{verdict_word(report)} {visible(report.subject.name, 120)}"
    suite = Element("testsuite", name=name, time=f"{report.seconds:.3f}")
    if report.started:
        suite.set("timestamp", report.started)
    for row in report.evidence:
        case = SubElement(suite, "testcase", classname="weighbridge", name=visible(row.question))
        admitted = row.question in report.verdict.admitted_unknowns
        text = "\n".join([row.why, *row.details])
        _mark(case, row.outcome, row.code or row.question, text, admitted=admitted)
    return suite


def _files(report: Report) -> Element:
    suite = Element("testsuite", name=f"files of {visible(report.subject.name, 120)}")
    findings: dict[str, list[Finding]] = defaultdict(list)
    unread: dict[str, list[Unread]] = defaultdict(list)
    for finding in report.findings:
        findings[finding.place.path].append(finding)
    for item in report.unread:
        unread[item.place.path].append(item)
    outcomes = {file.path: file.outcome for file in report.files}
    for path in dict.fromkeys([*outcomes, *findings, *unread]):
        case = SubElement(suite, "testcase", classname="weighbridge.files", name=visible(path))
        lines = [f"{f.severity.value}[{f.rule}] {f.place.where} {f.message}" for f in findings[path]]
        lines += [f"not read [{item.code}] {item.place.where} {item.message}" for item in unread[path]]
        code = next((f.rule for f in findings[path]), next((item.code for item in unread[path]), "unknown"))
        _mark(case, outcomes.get(path, Outcome.UNKNOWN), code, "\n".join(lines))
    return suite


def _mark(case: Element, outcome: Outcome, code: str, text: str, *, admitted: bool = False) -> None:
    lines = "\n".join(visible(line) for line in text.split("\n"))
    first = lines.partition("\n")[0]
    if outcome is Outcome.FAIL:
        SubElement(case, "failure", message=first, type=code).text = lines
    elif outcome is Outcome.UNKNOWN and not admitted:
        SubElement(case, "error", message=first, type=code).text = lines
    elif outcome is Outcome.UNKNOWN:
        SubElement(case, "skipped", message=f"unknown, admitted: {first}")
    elif lines.strip():
        SubElement(case, "system-out").text = lines


def _count(suite: Element) -> None:
    suite.set("tests", str(len(suite)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
