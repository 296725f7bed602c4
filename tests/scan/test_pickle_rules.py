"""What the pickle rules say, how often and how gravely; their samples are tested with all the others."""

from tests.formats.pickles import call, data, dictionary, frame, name, new, proto, stack_name, system, text
from weighbridge.core.artifact import Member
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Confidence, Finding, Severity
from weighbridge.core.source import MemorySource
from weighbridge.scan.engine import Examination, Scanner


def examine(content: bytes) -> Examination:
    return Scanner().examine(Member("model.pkl", len(content)), MemorySource(content))


def findings(content: bytes) -> list[tuple[str, str]]:
    return [(f.rule, f.message) for f in examine(content).findings]


def only(content: bytes) -> Finding:
    (finding,) = examine(content).findings
    return finding


def test_equal_calls_are_one_finding_with_a_count() -> None:
    program = proto() + b"(" + system() + system() + system() + b"t."
    assert findings(program) == [
        ("pickle-unsafe-call", "loading this file runs a shell command (and 2 times more)")
    ]


def test_no_more_than_twenty_five_findings_of_a_rule() -> None:
    program = proto() + b"(" + b"".join(call(stack_name(f"m{n}", "F")) for n in range(60)) + b"t."
    found = findings(program)
    assert len(found) == 25
    assert found[-1] == (
        "pickle-unproved-call",
        "loading this file calls m24.F, which is in no contract (and 35 times more)",
    )


def test_certainty_is_told_apart() -> None:
    assert only(proto() + system() + b".").confidence is Confidence.HIGH
    guessed = only(proto() + call(stack_name("colorsys", "rgb_to_hsv"), text("x")) + b".")
    assert (guessed.severity, guessed.confidence) == (Severity.ERROR, Confidence.MEDIUM)


def test_a_name_handed_on_is_as_bad_as_a_call() -> None:
    handed = only(proto() + call(name("functools", "partial"), name("os", "system")) + b".")
    assert handed.message == "loading this file hands on os.system, which runs a shell command"
    looked = only(proto() + name("os", "system") + b".")
    assert (looked.rule, looked.doubt) == ("pickle-unproved-call", True)
    assert (
        looked.message == "loading this file imports os.system, which runs a shell command when it is called"
    )


def test_the_trail_follows_getattr() -> None:
    program = (
        proto() + call(call(name("builtins", "getattr"), name("os", "path"), text("join")), text("x")) + b"."
    )
    trails = [line.split()[1:3] for f in examine(program).findings for line in f.trail]
    assert ["GLOBAL", "builtins"] in trails


def test_hostile_names_are_made_visible() -> None:
    program = proto() + call(stack_name("m\u202e", "f\n"), text("\x1b[31mred")) + b"."
    for finding in examine(program).findings:
        for line in (finding.message, *finding.trail):
            assert line.isprintable()
            assert "\u202e" not in line


def test_a_break_is_a_doubt_and_after_an_unproved_call_an_error() -> None:
    assert findings(proto() + b"K\x01\xff") == [
        ("pickle-broken", "this pickle breaks at an unknown opcode: 0xff is no opcode")
    ]
    assert examine(proto() + b"K\x01\xff").result.outcome is Outcome.UNKNOWN
    called = proto() + call(stack_name("m", "F"), text("x")) + b"\xff"
    assert examine(called).result.outcome is Outcome.FAIL
    cut = proto() + call(stack_name("m", "F"), text("x"))
    assert examine(cut).result.outcome is Outcome.UNKNOWN
    built = proto() + new(stack_name("m", "F")) + b"\xff"
    assert examine(built).result.outcome is Outcome.UNKNOWN


def test_a_python_2_string_is_a_note() -> None:
    found = only(proto(2) + b"U\x01\xe9.")
    assert (found.rule, found.severity, found.doubt) == ("pickle-ambiguous", Severity.NOTE, False)
    assert examine(proto(2) + b"U\x01\xe9.").result.outcome is Outcome.PASS


def test_the_loader_that_drops_the_rest_of_a_frame_is_judged_too() -> None:
    """`pickle.load` from an unbuffered file loses the bytes of a frame that an argument crosses."""
    hidden = b"cX" + b"posix\nsystem\n" + text("echo weighbridge-sample") + b"\x85R."
    program = proto() + frame(hidden, 2)
    found = examine(program)
    assert found.result.outcome is Outcome.FAIL
    assert "loading this file with pickle.load from an unbuffered file runs a shell command" in [
        f.message for f in found.findings
    ]


def test_a_frame_that_goes_on_behind_stop_hides_no_second_pickle() -> None:
    second = proto() + system() + b"."
    program = proto() + frame(b"N." + b"\x80\x04N.\x80\x04K\x01." + b"(((") + second
    assert examine(program).result.outcome is Outcome.FAIL


def test_dill_and_cloudpickle_carry_code() -> None:
    made = call(stack_name("cloudpickle.cloudpickle", "_make_function"), b"N", b"}", b"N", b"N", b"N")
    assert [rule for rule, _ in findings(proto() + made + b".")] == ["pickle-carries-code"]
    assert examine(proto() + made + b".").result.outcome is Outcome.FAIL
    assert examine(proto() + call(made, data(b"x")) + b".").result.outcome is Outcome.FAIL


def test_state_on_a_class_of_their_own_is_an_error() -> None:
    program = proto() + stack_name("m", "F") + dictionary(text("x"), b"K\x01") + b"b."
    assert ("pickle-state-set", "loading this file changes m.F for the whole process") in findings(program)
