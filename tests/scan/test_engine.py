"""The engine: no file can vanish, no failure can pass, and one file's trouble is its own."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scan.samples import artifact, scan
from weighbridge.core.artifact import Member, Obstacle
from weighbridge.core.budget import Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.source import MemorySource
from weighbridge.formats.reading import Gap, Part, Reading
from weighbridge.scan import engine
from weighbridge.scan.engine import Scanner
from weighbridge.scan.rule import Folder, Rule


class Noisy(Rule):
    """A rule whose behaviour each test sets."""

    name = "test-noisy"
    severity = Severity.ERROR
    formats = ("*",)
    fails: Exception | None = None

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        yield self.finding(place, "seen before the failure", severity=Severity.WARNING)
        if self.fails:
            raise self.fails

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        if self.fails:
            raise self.fails
        yield from ()


@pytest.fixture
def noisy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Noisy]:
    rule = Noisy()
    monkeypatch.setattr(engine, "RULES", (("test-noisy", ("*", "folder")),))
    monkeypatch.setattr(engine, "load_rule", lambda name: rule)
    engine.names_for.cache_clear()
    monkeypatch.setattr(engine, "INERT", frozenset({"a", "b", "text"}))
    yield rule
    engine.names_for.cache_clear()


def readers(monkeypatch: pytest.MonkeyPatch, **answers: Reading | Exception) -> None:
    """Replace sniffing and reading: every file is tried as each of `answers`."""

    # The made-up formats count as judged: what is tested here is what the engine does with readings.
    monkeypatch.setattr(engine, "is_judged", lambda _: True)

    def read(candidate: str, *_: object) -> Reading:
        answer = answers[candidate]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(engine, "candidates", lambda source, name: tuple(answers))
    monkeypatch.setattr(engine, "read", read)


def test_a_file_that_all_readers_refuse_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    readers(monkeypatch, a=InputError("not-this-format", "no"), b=InputError("not-this-format", "no"))
    result = scan({"x.bin": b"x"})
    assert [(u.code, u.message) for u in result.unread] == [
        ("format-unknown", "format not understood (not a, b)")
    ]
    assert (result.files[0].format, result.files[0].outcome) == ("unknown", Outcome.UNKNOWN)


def test_a_reader_that_breaks_keeps_the_file_from_passing(monkeypatch: pytest.MonkeyPatch) -> None:
    readers(monkeypatch, a=Reading(format="a"), b=InputError("truncated", "breaks off"))
    result = scan({"x.bin": b"x"})
    assert [u.code for u in result.unread] == ["truncated"]
    assert (result.files[0].format, result.files[0].outcome) == ("a", Outcome.UNKNOWN)


def test_a_broken_file_keeps_the_name_of_its_format(monkeypatch: pytest.MonkeyPatch) -> None:
    readers(monkeypatch, a=InputError("truncated", "breaks off"))
    assert scan({"x.bin": b"x"}).files[0].format == "a"


@pytest.mark.parametrize("bug", [ZeroDivisionError(), RecursionError(), MemoryError(), KeyError("x")])
def test_a_bug_of_ours_is_unknown(monkeypatch: pytest.MonkeyPatch, bug: Exception) -> None:
    readers(monkeypatch, a=bug, b=Reading(format="b"))
    result = scan({"x.bin": b"x"})
    assert [u.code for u in result.unread] == ["internal-error"]
    assert result.files[0].outcome is Outcome.UNKNOWN


def test_text_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    readers(monkeypatch, a=Reading(format="a"), text=Reading(format="text"))
    assert scan({"x": b"x"}).files[0].format == "a"
    readers(monkeypatch, a=InputError("not-this-format", "no"), text=Reading(format="text"))
    assert scan({"x": b"x"}).files[0].format == "text"
    readers(monkeypatch, a=InputError("truncated", "no"), text=Reading(format="text"))
    assert scan({"x": b"x"}).files[0].outcome is Outcome.UNKNOWN


def test_a_polyglot_has_both_names(monkeypatch: pytest.MonkeyPatch) -> None:
    readers(monkeypatch, a=Reading(format="a"), b=Reading(format="b"), c=Reading(format="a"))
    assert scan({"x": b"x"}).files[0].format == "a+b"


def test_gaps_of_nested_parts_count_for_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Reading(format="b", gaps=(Gap(code="encrypted", message="no key", offset=7, part="in"),))
    outer = Reading(format="a", parts=(Part(name="m", source=MemorySource(b"y"), kind="b"),))
    readers(monkeypatch, a=outer)
    monkeypatch.setattr(engine, "read", lambda candidate, *_: inner if candidate == "b" else outer)
    result = scan({"x": b"x"})
    assert [(u.place.where, u.code) for u in result.unread] == [("m › in › byte 7", "encrypted")]
    assert result.files[0].outcome is Outcome.UNKNOWN


def test_endless_nesting_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = Reading(format="a", parts=(Part(name="m", source=MemorySource(b"y"), kind="a"),))
    readers(monkeypatch, a=endless)
    result = scan({"x": b"x"}, limits=Limits(depth=5))
    assert [(u.code, len(u.place.parts)) for u in result.unread] == [("limit-depth", 6)]


def test_endless_breadth_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part(name="m", source=MemorySource(b"y"), kind="a")
    readers(monkeypatch, a=Reading(format="a", parts=(part, part)))
    result = scan({"x": b"x"}, limits=Limits(depth=12, members=500))
    assert "limit-members" in {u.code for u in result.unread}
    assert result.files[0].outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ZeroDivisionError(), "internal-error"),
        (LimitError("limit-bytes", "enough"), "limit-bytes"),
        (InputError("truncated", "no"), "truncated"),
    ],
)
def test_a_rule_that_fails_keeps_its_findings_and_makes_the_file_unknown(
    monkeypatch: pytest.MonkeyPatch, noisy: Noisy, failure: Exception, code: str
) -> None:
    readers(monkeypatch, a=Reading(format="a"))
    noisy.fails = failure
    scanner = Scanner()
    seen = scanner.examine(Member("x", 1), MemorySource(b"x"))
    assert [f.message for f in seen.findings] == ["seen before the failure"]
    assert [u.code for u in seen.unread] == [code]
    assert seen.result.outcome is Outcome.UNKNOWN


def test_a_rule_that_cannot_be_loaded_makes_the_file_unknown(
    monkeypatch: pytest.MonkeyPatch, noisy: Noisy
) -> None:
    def missing(name: str) -> Rule:
        raise ModuleNotFoundError(name)

    readers(monkeypatch, a=Reading(format="a"))
    monkeypatch.setattr(engine, "load_rule", missing)
    assert scan({"x": b"x"}).files[0].outcome is Outcome.UNKNOWN


def test_a_folder_rule_that_fails_lets_no_file_pass(monkeypatch: pytest.MonkeyPatch, noisy: Noisy) -> None:
    readers(monkeypatch, a=Reading(format="a"))
    monkeypatch.setattr(Noisy, "look", lambda *_: iter(()))
    assert {file.outcome for file in scan({"x": b"x", "y": b"y"}).files} == {Outcome.PASS}
    noisy.fails = ZeroDivisionError()
    assert {file.outcome for file in scan({"x": b"x", "y": b"y"}).files} == {Outcome.UNKNOWN}


def test_a_folder_rule_that_names_formats_is_asked_only_where_they_are(
    monkeypatch: pytest.MonkeyPatch, noisy: Noisy
) -> None:
    readers(monkeypatch, a=Reading(format="a"))
    monkeypatch.setattr(Noisy, "look", lambda *_: iter(()))
    noisy.fails = ZeroDivisionError()
    for formats, outcome in (("b", Outcome.PASS), ("a", Outcome.UNKNOWN)):
        monkeypatch.setattr(engine, "RULES", (("test-noisy", (formats, "folder")),))
        engine.names_for.cache_clear()
        assert scan({"x": b"x"}).files[0].outcome is outcome


def test_a_member_without_examination_is_unknown() -> None:
    model = artifact({"a.txt": b"a", "b.txt": b"b"})
    scanner = Scanner()
    seen = [scanner.examine(model.members[1], MemorySource(b"b")), None]
    result = scanner.finish(model, seen)
    assert [(f.path, f.outcome) for f in result.files] == [
        ("a.txt", Outcome.UNKNOWN),
        ("b.txt", Outcome.PASS),
    ]
    assert [(u.place.path, u.code) for u in result.unread] == [("a.txt", "not-examined")]


def test_obstacles_are_told() -> None:
    result = scan({"a.txt": b"a"}, obstacles=(Obstacle("dev", "not-a-file", "a device"),))
    assert [(u.place.path, u.code) for u in result.unread] == [("dev", "not-a-file")]


def test_raw_data_passes_only_where_a_sibling_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(candidate: str, source: object, budget: object, name: str) -> Reading:
        if name.endswith("model.a"):
            return Reading(format="a", externals=("w.bin", "../out.bin", "b.txt"))
        raise InputError("not-this-format" if name.endswith(".bin") else "truncated", "no")

    monkeypatch.setattr(engine, "is_judged", lambda _: True)
    monkeypatch.setattr(engine, "candidates", lambda source, name: ("a",))
    monkeypatch.setattr(engine, "read", read)
    result = scan({"d/model.a": b"x", "d/w.bin": b"x", "d/other.bin": b"x", "out.bin": b"x", "d/b.txt": b"x"})
    told = {file.path: (file.format, file.outcome) for file in result.files}
    assert told == {
        "d/model.a": ("a", Outcome.PASS),
        "d/w.bin": ("external-data", Outcome.PASS),
        "d/other.bin": ("unknown", Outcome.UNKNOWN),
        "out.bin": ("external-data", Outcome.PASS),
        "d/b.txt": ("a", Outcome.UNKNOWN),
    }


def test_twenty_thousand_findings_settle_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    readers(monkeypatch, a=InputError("truncated", "no"))
    result = scan({f"{number:05}": b"x" for number in range(20_000)})
    assert len(result.files) == len(result.unread) == 20_000


def test_depth_is_counted_for_each_thread() -> None:
    import threading

    from weighbridge.core.budget import Budget

    budget, errors = Budget(Limits(depth=2)), list[Exception]()
    both = threading.Barrier(2)

    def nest() -> None:
        try:
            with budget.deeper(), budget.deeper():
                both.wait(5)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=nest) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


NAMES = (
    "model.safetensors", "model.gguf", "model.onnx", "model.pt", "model.pkl", "model.zip", "model.tar", "model.npy", "m.keras",
    "config.json", "modules.json", "model_index.json", "x.index.json", "a.jsonl", "a.py", "a.ipynb", "a.jinja", "README.md",
    "requirements.txt", "a.yaml", "a.html", "a.svg", "a.png", "a.sh", "tokenizer.model", "noname",
)  # fmt: skip
STARTS = (
    b"",
    b"{",
    b"[",
    b"PK\x03\x04",
    b"\x80\x04",
    b"GGUF",
    b"\x93NUMPY",
    b"\x89PNG\r\n\x1a\n",
    b"\x08\x07",
    b"\x1f\x8b",
    b"<svg",
)


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.sampled_from(STARTS),
    st.binary(max_size=300) | st.text(max_size=300).map(str.encode),
)
def test_no_bytes_under_any_name_break_us(name: str, start: bytes, rest: bytes) -> None:
    result = scan({name: start + rest})
    assert len(result.files) == 1
    assert [item.message for item in result.unread if item.code == "internal-error"] == []


def test_a_format_that_no_rule_judges_never_passes(monkeypatch):
    from weighbridge.scan import engine

    assert engine.is_judged("pickle")
    assert not engine.is_judged("nobody-wrote-a-rule")
    monkeypatch.setattr(engine, "RULES", ())
    data = b"harmless text\n"
    examination = engine.Scanner().examine(Member("a.txt", len(data)), MemorySource(data))
    assert examination.result.outcome is Outcome.UNKNOWN
    assert [item.code for item in examination.unread] == ["format-unjudged"]
