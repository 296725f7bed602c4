"""Commands and options that the documentation, the examples and the hints name are there."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from weighbridge.cli.app import COMMANDS, parse, parser_for

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").rglob("*.md")])
EXAMPLES = [(name, line) for name in COMMANDS for line in import_module(f"weighbridge.cli.{name}").EXAMPLES]
FOREIGN = {
    "--require-hashes",
    "--extra-index-url",
    "--find-links",
    "--index-url",
    "--trusted-host",
    "--clear-output",
}
"""Options of other programs (pip, nbconvert) that pages speak of."""


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_every_example_is_understood_by_its_own_parser(name, example):
    program, command, *rest = shlex.split(example.partition(" > ")[0])
    assert program == "weighbridge"
    assert command in COMMANDS
    assert parse(command, rest).command == command
    assert name == command or name == "report"  # whose example first saves a report


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_two_examples(name):
    assert len([line for command, line in EXAMPLES if command == name]) >= 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name):
    silent = [action.dest for parser in parsers(name) for action in parser._actions if not action.help]
    assert [dest for dest in silent if dest != "verb"] == []


def parsers(name: str) -> list[argparse.ArgumentParser]:
    """A command's parser and those of its verbs."""
    top = parser_for(name)
    below = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    return [top, *(verb for action in below for verb in action.choices.values())]


def options(name: str) -> set[str]:
    return {
        option for parser in parsers(name) for action in parser._actions for option in action.option_strings
    }


def verbs(name: str) -> set[str]:
    return {parser.prog.split()[-1] for parser in parsers(name)[1:]}


ALL_OPTIONS = {option for name in COMMANDS for option in options(name)}


def code_in(text: str) -> Iterator[str]:
    """Lines of code blocks, and code spans."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    text = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"^    (.*)", text, re.MULTILINE)
    yield from re.findall(r"`([^`]+)`", text)


def wrong(line: str) -> str:
    """What a line names that is not there; "" where all of it is."""
    for call in re.findall(r"(?:^|(?<=[\s$:(]))weighbridge +([a-z][^#|;)]*)", line):
        command, *rest = call.split()
        if command not in COMMANDS:
            return f"command {command}"
        if verbs(command) and rest and re.fullmatch("[a-z]+", rest[0]) and rest[0] not in verbs(command):
            return f"verb {command} {rest[0]}"
        for word in rest:
            option = re.match(r"--[a-z][a-z0-9-]*", word)
            if option and option[0] not in options(command):
                return f"{option[0]} of {command}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_pages_name_only_commands_that_are_there(page):
    assert [f"{found}: {line}" for line in code_in(page.read_text("utf-8")) if (found := wrong(line))] == []


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_pages_name_only_options_that_are_there(page):
    spans = re.findall(r"`(--[a-z][a-z0-9-]*)[^`]*`", page.read_text("utf-8"))
    unknown = set(spans) - ALL_OPTIONS - FOREIGN
    if page.name == "benchmarks.md":
        bench = "".join(path.read_text("utf-8") for path in (ROOT / "bench").rglob("*.py"))
        unknown = {option for option in unknown if f'"{option}"' not in bench}
    assert sorted(unknown) == []


def hints() -> Iterator[tuple[str, str]]:
    """(file, text) of every piece of text that errors carry."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and re.search(r"Error$", ast.unparse(node.func)):
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield path.name, part.value


def test_hints_name_only_commands_and_options_that_are_there():
    said = [(file, text) for file, text in hints() if text.startswith(("weighbridge ", "--"))]
    assert len(said) > 10
    assert [(file, found, text) for file, text in said if (found := wrong(text))] == []
    named = {option for _, text in said for option in re.findall(r"^--[a-z][a-z0-9-]*", text)}
    assert sorted(named - ALL_OPTIONS) == []


@pytest.mark.parametrize(
    "line",
    [
        "weighbridge transmute x",
        "$ weighbridge trust invent",
        "weighbridge check m --kei k",
        "see `x`: weighbridge nothing",
    ],
)
def test_what_is_not_there_is_noticed(line):
    assert wrong(line)
