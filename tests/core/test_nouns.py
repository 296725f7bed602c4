import hashlib
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Evidence, Outcome, worst
from weighbridge.core.finding import Place
from weighbridge.core.manifest import Digest, Entry, Manifest, TensorEntry, is_card
from weighbridge.core.source import MemorySource, Slice
from weighbridge.core.text import counted, human_bytes, some, visible
from weighbridge.core.verdict import Decision, Verdict


@pytest.mark.parametrize(
    "value",
    [
        Outcome.PASS,
        Decision.ADMITTED,
        Evidence(question="signed", outcome=Outcome.PASS, why="ok"),
        Verdict(decision=Decision.ADMITTED),
    ],
)
def test_three_valued_answers_have_no_truth_value(value):
    with pytest.raises(TypeError):
        bool(value)


def test_absence_is_never_a_pass():
    assert worst([]) is Outcome.UNKNOWN
    assert worst([Outcome.PASS, Outcome.UNKNOWN]) is Outcome.UNKNOWN
    assert worst([Outcome.UNKNOWN, Outcome.FAIL, Outcome.PASS]) is Outcome.FAIL


def test_decisions_say_their_exit_code():
    assert [int(d.exit_code) for d in (Decision.ADMITTED, Decision.REFUSED, Decision.UNDECIDED)] == [0, 1, 3]


def test_values_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Place(path="a").path = "b"


def entries(**contents: bytes) -> tuple[Entry, ...]:
    return tuple(Entry(p, len(c), hashlib.sha256(c).digest()) for p, c in sorted(contents.items()))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("ab/", min_size=1, max_size=4), st.binary(max_size=3), min_size=1, max_size=6))
def test_the_file_set_digest_binds_names_sizes_and_contents(files):
    digest = Manifest(entries=entries(**files)).files_digest()
    other = dict(files)
    name = sorted(other)[0]
    other[name + "x"] = other.pop(name)
    assert Manifest(entries=entries(**other)).files_digest() != digest
    changed = files | {name: files[name] + b"!"}
    assert Manifest(entries=entries(**changed)).files_digest() != digest
    assert Manifest(entries=entries(**dict(reversed(files.items())))).files_digest() == digest


def test_a_manifest_refuses_a_path_twice_and_wrong_order():
    one = Entry("a", 0, b"")
    for wrong in ((one, one), (Entry("b", 0, b""), one)):
        with pytest.raises(InputError):
            Manifest(entries=wrong)


def test_an_unhashed_entry_gives_no_digest():
    assert Manifest(entries=(Entry("a", 1),)).files_digest() is None
    assert Manifest(entries=()).files_digest() is None


def test_two_different_tensors_of_one_name_in_one_file_give_no_digest():
    tensor = TensorEntry("w", "F32", (1,), b"x" * 32, "a")
    other = tensor._replace(digest=b"y" * 32)
    assert Manifest(entries=(), tensors=(tensor, other)).tensors_digest() is None
    assert Manifest(entries=(), tensors=(tensor,)).tensors_digest() is not None


@given(st.sampled_from(["sha256", "blake3"]), st.binary(min_size=1, max_size=40))
def test_digest_round_trip(algorithm, value):
    digest = Digest(algorithm, value)
    assert Digest.parse(str(digest)) == digest


@pytest.mark.parametrize("text", ["", "sha256", "sha256:", "sha256:AB", "sha256:zz", ":ab", "sha256:a b"])
def test_malformed_digests_are_refused(text):
    with pytest.raises(InputError):
        Digest.parse(text)


def test_the_card_is_the_documentation_at_the_root():
    assert is_card("README.md")
    assert is_card("LICENSE")
    assert not is_card("sub/README.md")
    assert not is_card("config.json")


@pytest.mark.parametrize(
    ("limits", "spend", "code"),
    [
        (Limits(bytes=10), lambda b: b.spend_bytes(11), "limit-bytes"),
        (Limits(members=1), lambda b: b.spend_members(2), "limit-members"),
        (Limits(seconds=-1), lambda b: b.tick(), "limit-seconds"),
        (Limits(memory=5), lambda b: b.need_memory(6, "header"), "limit-memory"),
    ],
)
def test_budgets_end(limits, spend, code):
    with pytest.raises(LimitError) as caught:
        spend(Budget(limits))
    assert caught.value.code == code


def test_depth_is_counted_and_given_back():
    budget = Budget(Limits(depth=1))
    for _ in range(3):
        with budget.deeper():
            pass
    with budget.deeper(), pytest.raises(LimitError), budget.deeper():
        pass


def test_a_slice_never_reads_outside_its_window():
    inner = MemorySource(b"0123456789")
    part = Slice(inner, 2, 5)
    assert part.read(0, 100) == b"23456"
    assert part.read(3, 100) == b"56"
    assert part.read(9, 1) == b""
    with pytest.raises(InputError):
        Slice(inner, 6, 5)
    with pytest.raises(InputError):
        part.read(-1, 1)


def test_hostile_names_become_visible():
    assert visible("a\x1b[31m\n\u202eb\udcff") == "a\\x1b[31m\\n\\u202eb\\xff"
    assert visible("模型.bin") == "模型.bin"
    assert len(visible("x" * 1000)) == 500


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (90_868_376, "90.9 MB"),
        (13_500_000_000, "13.5 GB"),
        (120_000, "120 kB"),
        (999_960, "1.0 MB"),
    ],
)
def test_sizes_read_as_people_write_them(count, text):
    assert human_bytes(count) == text


def test_counts_and_lists_are_short_and_harmless():
    assert [counted(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some(("a", "b\u202e", "c", "d", "e")) == "a, b\\u202e, c and 2 more"
    assert some(()) == ""
