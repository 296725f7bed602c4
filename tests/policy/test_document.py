"""The strict reader of weighbridge.toml: what it refuses, in which words, and that the schema for editors agrees."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.errors import UsageError
from weighbridge.policy.document import MAX_DOCUMENT, TABLES, check_tables, lay_over, read_document

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schemas/policy.v1.json").read_text())


def refusal(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read_document(text.encode(), "weighbridge.toml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "code", "message", "hints"),
    [
        ("[polcy]", "unknown-key", '"polcy" in "weighbridge.toml" is not a word of this configuration',
         ('did you mean "policy"?',)),
        ("[policy]\nsignatur = 'required'", "unknown-key",
         '"policy.signatur" in "weighbridge.toml" is not a word of this configuration', ('did you mean "signature"?',)),
        ("[trust]\nzzz = 1", "unknown-key", '"trust.zzz" in "weighbridge.toml" is not a word of this configuration',
         ("known here: dir",)),
        ("[policy]\nsignature = 'yes'", "bad-value",
         '"policy.signature" in "weighbridge.toml" must be "required" or "optional", not \'yes\'', ()),
        ("[policy]\nthreshold = 0", "bad-value",
         '"policy.threshold" in "weighbridge.toml" must be a whole number from 1, not 0', ()),
        ("[policy]\nthreshold = true", "bad-value",
         '"policy.threshold" in "weighbridge.toml" must be a whole number from 1, not True', ()),
        ("[policy]\nsigners = ['a', 'a']", "bad-value",
         '"policy.signers" in "weighbridge.toml" must be a list that names nobody twice, not [\'a\', \'a\']', ()),
        ("policy = 3", "bad-value", '"policy" in "weighbridge.toml" must be a table, not 3', ()),
        ("[policy]\nunknown = {sined = 'admit'}", "bad-value", None, ()),
        ("[[scan.suppress]]\nrule = 'a'\npath = '*'\nreason = 'x'", "bad-value",
         None, ()),
        ("[[scan.suppress]]\nrule = 'a'\npath = '*'\nreason = ''\nuntil = 2027-01-01", "bad-value",
         '"scan.suppress.reason" in "weighbridge.toml" must be a text that is not empty, not \'\'', ()),
        ("[[policy.rule]]\nname = 'a'\nmessage = 'm'", "bad-value", None, ()),
        ("[[policy.rule]]\nname = 'A b'\nwhen = 'true'\nmessage = 'm'", "bad-value", None, ()),
        ("[limits]\nmax-bytes = '40X'", "bad-value",
         '"limits.max-bytes" in "weighbridge.toml" must be a number of bytes, or a text like "40G", not \'40X\'', ()),
        ("[limits]\ntimeout = nan", "bad-value", None, ()),
        ("[policy]\nvalid-until = 2027-01-01T00:00:00Z", "bad-value", None, ()),
        ("[policy]\nvalid-until = '2027-02-30'", "bad-value", None, ()),
        ("[policy", "bad-toml", None, ()),
        ("[policy]\nlog='required'\nlog='optional'", "bad-toml", None, ()),
    ],
)  # fmt: skip
def test_refusals(text: str, code: str, message: str | None, hints: tuple[str, ...]) -> None:
    error = refusal(text)
    assert (error.code, error.hints) == (code, hints)
    assert message in (None, error.message)


def test_hostile_names_are_visible_in_messages() -> None:
    assert "\\u202e" in refusal('[policy]\n"\\u202e" = 1').message
    assert "\\x1b" in refusal('[policy]\nsignature = "\\u001b[31m"').message


def test_bounds() -> None:
    assert refusal("#" * (MAX_DOCUMENT + 1)).code == "bad-toml"
    assert refusal("a = " + "[" * 5000).code == "bad-toml"
    with pytest.raises(UsageError) as caught:
        read_document(b"\xff", "x")
    assert caught.value.code == "bad-toml"


@pytest.mark.parametrize(
    ("text", "expected"), [("1000", 1000), ("'40G'", 40 * 1024**3), ("'512 MiB'", 512 * 1024**2), ("'7B'", 7)]
)
def test_sizes(text: str, expected: int) -> None:
    assert read_document(f"[limits]\nmax-bytes = {text}".encode(), "x") == {"limits": {"max-bytes": expected}}


def test_layers() -> None:
    below = read_document(
        b"[policy]\nunknown = 'refuse'\nthreshold = 2\n[[policy.rule]]\nname='a'\nwhen='1'\nmessage='m'", "x"
    )
    above = read_document(
        b"[policy]\nunknown = {read='admit'}\n[[policy.rule]]\nname='b'\nwhen='2'\nmessage='m'", "y"
    )
    merged = lay_over(below, above)["policy"]
    assert merged["threshold"] == 2
    assert {q: w for q, w in merged["unknown"].items() if q != "*"} == {"default": "refuse", "read": "admit"}
    assert [rule["name"] for rule in merged["rule"]] == ["a", "b"]
    plain = read_document(b"[policy]\nunknown = 'undecided'", "z")
    assert "read" not in lay_over({"policy": merged}, plain)["policy"]["unknown"]


RULE = {"name": "a", "require": "true", "message": "m"}
SUPPRESSION = {"rule": "a", "path": "*", "reason": "r", "until": "2027-01-01"}
VALUES = [
    "required", "optional", "refuse", "admit", "no errors", "any", "human", "never", "error", "x", "", " ", "two\nlines",
    "40G", "40iB", "7B", "2027-01-31", 0, 1, -1, 2**62, 2**62 + 1, 1.5, True, False, [], ["a"], ["a", "a"], [1], [""],
    {}, {"a": 1}, {"a": 0}, {"signed": "admit"}, {"default": "refuse", "rule:x-y": "admit"}, {"sined": "admit"},
    [RULE], [SUPPRESSION], [{**RULE, "more": 1}], [{"name": "a", "message": "m"}], [{"rule": "a"}],
    [{**SUPPRESSION, "rule": "A b"}], [{**SUPPRESSION, "reason": " "}], [{**RULE, "require": ""}],
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(table=st.sampled_from([*TABLES, "polcy"]), data=st.data())
def test_reader_and_schema_agree(table: str, data: st.DataObject) -> None:
    """Whatever the reader takes, the schema for editors takes, and the other way round."""
    keys = st.sampled_from([*TABLES.get(table, ()), "nonsense"])
    document = {table: data.draw(st.dictionaries(keys, st.sampled_from(VALUES), max_size=2))}
    try:
        check_tables(document, "x")
        taken = True
    except UsageError:
        taken = False
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(document) == taken


def test_every_key_is_in_the_schema() -> None:
    assert {name: set(words) for name, words in TABLES.items()} == {
        name: set(table["properties"]) for name, table in SCHEMA["properties"].items()
    }


def test_the_shipped_schema_is_the_published_one() -> None:
    shipped = ROOT / "src/weighbridge/policy/policy.v1.json"
    assert shipped.read_bytes() == (ROOT / "schemas/policy.v1.json").read_bytes()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_usage_error(data: bytes) -> None:
    code = None
    try:
        read_document(data, "x")
    except UsageError as error:
        code = error.code
    assert code in {None, "bad-toml", "unknown-key", "bad-value"}
