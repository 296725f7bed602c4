"""Test result: one run of a test suite over the statement's subjects, as in-toto writes it.

    {"result": "PASSED|WARNED|FAILED", "configuration": [resource…], "url": …, "passedTests": […], "failedTests": […]}

https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from weighbridge.attest import fields, resource
from weighbridge.attest.resource import Resource
from weighbridge.attest.step import Relation, Step
from weighbridge.core.statement import Statement
from weighbridge.core.value import dataclass

TYPE = "https://in-toto.io/attestation/test-result/v0.1"


class Result(StrEnum):
    """How the run ended."""

    PASSED = "PASSED"
    WARNED = "WARNED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One run of tests."""

    __test__ = False  # it is no test, whatever pytest thinks of its name

    result: Result
    configuration: tuple[Resource, ...] = ()
    """What the suite was made of: its files, its data."""
    url: str = ""
    passed: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def read(predicate: Mapping[str, Any], what: str) -> TestResult:
    """Strict in what is known; the rest is ignored. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    fields.field(predicate, "configuration", list, what)
    return TestResult(
        result=Result(fields.word(predicate, "result", tuple(Result), what)),
        configuration=resource.read_all(predicate, "configuration", what),
        url=fields.optional(predicate, "url", "", what),
        passed=fields.texts(predicate, "passedTests", what),
        warned=fields.texts(predicate, "warnedTests", what),
        failed=fields.texts(predicate, "failedTests", what),
    )


def write(tests: TestResult) -> dict[str, Any]:
    """`read(write(t)) == t`."""
    return {
        "result": tests.result.value,
        "configuration": resource.write_all(tests.configuration),
        **fields.given(
            url=tests.url,
            passedTests=list(tests.passed),
            warnedTests=list(tests.warned),
            failedTests=list(tests.failed),
        ),
    }


def step(statement: Statement, tests: TestResult) -> Step:
    """`test`: looks at its subjects with the configuration, and leaves them as they were."""
    return Step(
        name="test",
        products=statement.subjects,
        materials=resource.materials(tests.configuration, Relation.EVALUATED_ON),
        looks=True,
    )


def say(tests: TestResult) -> str:
    """In a few words."""
    counts = f"{len(tests.passed)} passed, {len(tests.warned)} warned, {len(tests.failed)} failed"
    return f"{tests.result}: {counts}"
