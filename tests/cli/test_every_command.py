"""What holds for every command and every verb: the same options, with the same meaning, and one JSON document, always."""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from tests.documents import SCHEMAS, conforms
from tests.statements import Person

from weighbridge.cli.app import COMMANDS, parser_for, run

from .conftest import write_model

COMMON = {
    "--format": "how to print the answer",
    "--output": "write the answer to FILE instead of standard output",
    "--quiet": "only the line that says what came of it",
    "--verbose": "show everything, not only the worst and the first",
    "--color": "colour: auto (default: only on a terminal), always or never",
    "--no-progress": "no progress line",
}


def parsers() -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command without verbs, and every verb of the others."""
    for name in COMMANDS:
        parser = parser_for(name)
        below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        yield from (((name, verb), one) for action in below for verb, one in action.choices.items())
        if not below:
            yield (name,), parser


EVERY = list(parsers())
NAMES = [" ".join(words) for words, _ in EVERY]


@pytest.mark.parametrize(("words", "parser"), EVERY, ids=NAMES)
def test_it_has_the_common_options(words, parser):
    found = {flag: action for action in parser._actions for flag in action.option_strings}
    assert {flag: (found[flag].help or "")[: len(text)] for flag, text in COMMON.items()} == COMMON
    assert {"human", "json"} <= set(found["--format"].choices)
    assert (found["-f"], found["-o"], found["-q"], found["-v"]) == (
        found["--format"], found["--output"], found["--quiet"], found["--verbose"],
    )  # fmt: skip


@pytest.mark.parametrize(("words", "parser"), EVERY, ids=NAMES)
def test_its_help_ends_with_examples_that_can_be_parsed(words, parser):
    told = parser.format_help().partition("examples:\n")[2].partition("\n\n")[0]
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    assert lines, words
    assert all(line.startswith(f"weighbridge {words[0]}") for line in lines[-1:]), lines


@pytest.mark.parametrize("words", [words for words, _ in EVERY], ids=NAMES)
def test_a_mistake_is_one_document(words, weighbridge):
    for more in (
        ("-f", "json", "--no-such-option"),
        ("--no-such-option", "--format=json"),
        ("-qfjson", "--no-such"),
    ):
        answer = weighbridge(*words, *more)
        assert (answer.code, answer.err) == (2, ""), answer
        assert conforms("error", answer.json)["error"]["exit_code"] == 2


# ------------------------------------------------------------------------------------------- what they really print

ANN, CLEO, DAN = Person("ann", "lead"), Person("cleo", "safety"), Person("dan", "safety", "recall")
PROGRAM = [sys.executable, "-m", "weighbridge"]
SUM = "import pathlib; pathlib.Path('out.txt').write_text(pathlib.Path('data/rows.csv').read_text())"
SETUP = (
    "trust init",
    *(f"trust add {who} --key {who}.pub {roles}" for who, roles in (
        ("ann", "--role lead"), ("cleo", "--role safety"), ("dan", "--role safety --role recall"),
    )),
    "sign model --key ann.key",
    "check model -f json -o saved.json",
    "attest model --type review --approve --role safety --comment fine --key cleo.key",
    "convert model --out copy --receipt receipt.json",
    "attest copy --type transform --from model --key ann.key",
    "log init --origin example.com/models",
    "log append model",
    "log publish",
    "log prove model",
    "recall add data --kind dataset --reason poisoned --signing-key dan.key",
    "plan make --name tune --step tune --data data --approvals safety=1,lead=1 --until 2999-01-01 --key dan.key",
    "intake add extra --kind data --contributor acme --into q",
    "lineage add --edge name:child fine_tuned_from name:parent",
)  # fmt: skip
CASES = (
    ("version", 0), ("init repository", 0), ("rule", 0), ("rule pickle-unsafe-call", 0), ("explain no-signature", 0),
    ("doctor", 0), ("completion bash", 0), ("key new fresh", 0), ("key show ann.pub", 0),
    ("key rotate ann --new next", 0), ("trust init --trust other", 0), ("trust show", 0),
    ("trust add eve --key eve.pub", 0), ("trust revoke ann --reason stolen", 0), ("policy check", 0),
    ("policy explain", 0), ("policy test cases.toml", 0), ("scan model", 0), ("verify model", 0), ("check model", 0),
    ("trace model", 3), ("inspect model", 0), ("digest model", 0), ("diff model data", 0), ("report saved.json", 0),
    ("sign copy --key ann.key", 0), ("attest model --type review --approve --role lead --key ann.key", 0),
    ("attest model --list", 0), ("convert model --out again", 0),
    ("convert model --against copy --receipt receipt.json", 0), ("transform copy --from model", 0),
    ("transform copy --from model --against --key ann.pub", 0), ("transform copy --from model --against", 0),
    ("log init --origin example.com/other --log other", 0), ("log append copy", 0), ("log publish", 0),
    ("log show", 0), ("log show 0", 0), ("log prove model", 0), ("log verify model --log-policy log/log-policy", 0),
    ("log audit log/public --log-policy log/log-policy", 0),
    ("log mirror log/public mirror --log-policy log/log-policy", 0),
    ("log witness north --new north.example.org", 0), ("recall add model --reason wrong --signing-key dan.key", 0),
    ("recall lift data --kind dataset --signing-key dan.key", 0), ("recall issue --signing-key dan.key", 0),
    ("recall show recalls.jsonl", 0), ("recall update recalls.jsonl", 0), ("sweep model", 3),
    ("run --name sum --materials data --products out.txt --key ann.key -- PYTHON SUM", 0),
    ("run --name sum --materials data --products none.txt --key ann.key -- PYTHON SUM", 3),
    ("run --name sum --plan tune.plan.jsonl --materials data --products out.txt --key ann.key -- PYTHON SUM", 1),
    ("plan make --name more --data data --approvals safety=2 --until 2999-01-01 --key dan.key", 0),
    ("plan approve tune.plan.jsonl --role safety --key cleo.key", 0),
    ("plan reject tune.plan.jsonl --role lead --key ann.key", 0), ("plan show tune.plan.jsonl", 3),
    ("plan approve tune.plan.jsonl --role lead --key cleo.key", 1),
    ("intake add model --kind model --contributor acme --into q", 0), ("intake list --in q", 0),
    ("intake show ID --in q", 0), ("intake approve ID --in q --role safety --key cleo.key", 0),
    ("intake reject ID --in q --role safety --key cleo.key", 0),
    ("intake release ID --in q --to released --approvals safety=1", 1), ("lineage ancestors name:child", 0),
    ("lineage descendants name:parent", 0), ("lineage descendants name:nobody", 3),
    ("lineage path name:child name:parent", 0), ("lineage path name:child name:nobody", 3),
    ("lineage import model", 3), ("lineage add model", 0), ("lineage add --edge name:a merged_from name:b", 0),
    ("lineage remember copy --name name:copy", 3), ("lineage infer copy --name name:copy", 3),
)  # fmt: skip
DOCUMENTED = {
    "attest": "attest", "transform": "transform-answer", "run": "run-answer", "plan": "plan-answer",
    "intake": "intake", "log": "log", "lineage": "lineage", "recall": "recall-answer", "sweep": "sweep",
    "trace": "report", "scan": "report", "verify": "report", "check": "report", "report": "report",
    "convert": "convert",
}  # fmt: skip
"""Command → the schema of what it prints."""
OWN_TEXT = ("completion", "rule pickle-unsafe-call")
"""A script and a page are printed as they are."""


def words_of(line: str, folder: Path) -> list[str]:
    identity = next((one.name for one in (folder / "q").glob("*") if len(one.name) == 64), "none")
    meant = {"PYTHON": [sys.executable], "SUM": ["-c", SUM], "ID": [identity[:16]]}
    return [word for one in line.split() for word in meant.get(one, [one])]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Everything that the commands need: keys, a keyring, a model with its evidence, a log, a quarantine."""
    folder = tmp_path_factory.mktemp("built")
    for person in (ANN, CLEO, DAN, Person("eve")):
        person.leave(folder)
    write_model(folder / "model")
    for name in ("data", "extra"):
        (folder / name).mkdir()
        (folder / name / "rows.csv").write_text(f"{name},2\n")
    (folder / "weighbridge.toml").write_text('[policy]\nname = "ours"\nsignature = "optional"\n')
    (folder / "cases.toml").write_text(
        '[[case]]\nname = "fine"\nexpect = "admitted"\nevidence = {signed = "pass", intact = "pass", safe = "pass", read = "pass"}\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        settle(patch, folder)
        for line in SETUP:
            assert run([*words_of(line, folder), *(["-o", "told.txt"] if "-o" not in line else [])]) == 0, (
                line
            )
    return folder


def settle(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.chdir(folder)
    for name in ("STATE", "TRUST"):
        patch.setenv(f"WEIGHBRIDGE_{name}", str(folder / name.lower()))


@pytest.fixture
def at(built, tmp_path, monkeypatch, weighbridge):
    """Calls one of the lines in a fresh copy of the folder."""
    folder = tmp_path / "here"

    def call(line: str, *more: str):
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(built, folder)
        settle(monkeypatch, folder)
        before, dashes, program = line.partition(" -- ")
        words = [*words_of(before, folder), *more]
        return weighbridge(*words, *(["--", *words_of(program, folder)] if dashes else []))

    return call


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def screen(answer) -> list[str]:
    """What people see, without what two runs do not have in common."""
    text = re.sub(r"[0-9a-f]{16,}|[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/=]{40,}", "HEX", answer.out + answer.err)
    text = re.sub(r"\b[0-9a-f]{4}…[0-9a-f]{4}\b|\+[0-9a-f]{8}\b|\b[0-9a-f]{8}\b", "HEX", text)
    return [
        re.sub(r"\d+\.\d s|\d{4}-\d\d-\d\dT?[0-9: .]*Z?|\d+ s\b", "TIME", line).strip()
        for line in text.splitlines()
    ]


@pytest.mark.parametrize(("line", "code"), CASES, ids=[line for line, _ in CASES])
def test_quiet_is_one_line_of_the_screen_and_colour_is_only_colour(at, line, code):
    whole = at(line)
    assert whole.code == code, whole
    assert "\x1b" not in whole.out + whole.err
    painted = at(line, "--color", "always")
    assert [plain(one) for one in screen(painted)] == screen(whole)
    assert "\x1b" not in (never := at(line, "--color", "never")).out + never.err
    quiet = at(line, "-q")
    assert quiet.code == code
    if not line.startswith(OWN_TEXT):
        assert len(screen(quiet)) == 1, quiet
    assert at(line, "-v").code == code


@pytest.mark.parametrize(("line", "code"), CASES, ids=[line for line, _ in CASES])
def test_the_answer_is_one_document_and_as_its_schema_says(at, line, code):
    answer = at(line, "--format", "json")
    assert answer.code == code, answer
    document = answer.json  # one, and nothing beside it
    command = line.split()[0]
    if command in DOCUMENTED:
        assert document["schema"] == f"weighbridge.{DOCUMENTED[command]}/v1"
        assert document["command"].split()[0] in (command, "check")
        name = DOCUMENTED[command]
        if name in ("report", "convert"):
            jsonschema.validate(document, json.loads((SCHEMAS / f"{name}.v1.json").read_text("utf-8")))
        else:
            conforms(name, document)
    kept = at(line, "--format", "json", "-o", "kept.json")
    assert (kept.code, kept.out) == (code, "")


def test_every_verb_is_among_the_lines():
    assert {name for name in NAMES if not any(line.startswith(name) for line, _ in CASES)} == {"guard"}


# ------------------------------------------------------------------------------------------------------ every exit code


def test_no_name_of_a_document_is_the_name_of_a_kind_of_statement():
    stated = {path.name for path in (SCHEMAS / "predicates").iterdir()}
    assert {path.name for path in SCHEMAS.glob("*.json")} & stated == {"convert.v1.json"}, "a receipt is both"


def test_errors_of_every_code_are_one_document(at, weighbridge, signed):
    (signed / "broken").mkdir()
    (signed / "broken" / "gone").symlink_to("nowhere")
    unread = weighbridge(
        "attest", "broken", "--type", "review", "--approve", "--key", "stranger.key", "-f", "json"
    )
    full = weighbridge("digest", "model", "-f", "json", "-o", "/dev/full")
    refused = at("plan approve tune.plan.jsonl --role lead --key cleo.key", "-f", "json")
    assert [unread.code, full.code, refused.code] == [3, 4, 1]
    assert [one.json["error"]["exit_code"] for one in (unread, full, refused)] == [3, 4, 1]


def test_an_interrupted_command_is_one_document(signed):
    with (signed / "model" / "zeros.bin").open("wb") as file:
        file.truncate(50 * 1024**3)
    process = subprocess.Popen(
        [*PROGRAM, "digest", "model", "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"")
    assert conforms("error", json.loads(out))["error"]["code"] == "interrupted"


def test_words_behind_the_dashes_are_another_programs(weighbridge):
    answer = weighbridge(
        "run", "--name", "x", "--products", "y", "--key", "none.key", "--", "true", "--format", "json"
    )
    assert (answer.code, answer.out) == (2, "")


# -------------------------------------------------------------------------------------------------------------- hints


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("attest model --type reveiw", "review"),
        ("trust shwo", "show"),
        ("digest model --fromat json", "--format"),
    ],
)
def test_a_slip_is_answered_with_the_word_meant(weighbridge, line, meant):
    answer = weighbridge(*line.split())
    assert answer.code == 2
    assert f"did you mean {meant}" in answer.err


def test_a_line_that_nobody_can_read_is_said_and_counted(at, built, tmp_path):
    line = "transform copy --from model --against broken.jsonl --key ann.pub"
    lines = (built / "copy.attestations.jsonl").read_bytes()
    (built / "broken.jsonl").write_bytes(lines + b"{}\n")
    answer = at(line)
    assert answer.code == 3
    assert answer.out.splitlines()[-1] == "UNKNOWN, 1 line not read"
    assert [row["code"] for row in at(line, "-f", "json").json["unread"]] == ["bad-bundle"]
    assert at("transform copy --from model --against --key cleo.pub").code == 1


def test_a_contribution_with_findings_is_not_offered_for_approval_alone(at, built):
    (built / "bad").mkdir()
    (built / "bad" / "a.bin").write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00echoq\x00\x85R.")
    told = at("intake add bad --kind adapter --contributor acme --into q").out.splitlines()
    assert [line[:30] for line in told if " intake " in line] == [
        "next     weighbridge intake re", "or       weighbridge intake ap",
    ]  # fmt: skip
    assert '--waive "why' in told[-1]
