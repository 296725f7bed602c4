"""Judging in bulk gives for each line what judging one by one gives."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.attest import batch
from weighbridge.attest.attestation import judge_one
from weighbridge.attest.batch import judge_lines, judge_many
from weighbridge.core.evidence import Outcome
from weighbridge.core.manifest import Digest
from weighbridge.core.statement import (
    MAX_SUBJECTS,
    STATEMENT,
    Named,
    Statement,
    read_statement,
    write_statement,
)
from weighbridge.core.wire import write_json
from weighbridge.sign import keys
from weighbridge.sign.anchor import KeyAnchor
from weighbridge.sign.bundle import key_material, read_lines, split_lines, write_bundle
from weighbridge.sign.dsse import Envelope, decode_base64, encode_base64, pae
from weighbridge.sign.signer import PemSigner, sign_statement

NOW = datetime(2026, 11, 23, tzinfo=UTC)
PEOPLE = [keys.generate(name) for name in ("ed25519", "ecdsa-p256", "ed25519")]
SIGNERS = [PemSigner(keys.private_pem(key)) for key in PEOPLE]
PUBLIC = [keys.public_pem(key.public_key()) for key in PEOPLE]
ANCHORS = (
    KeyAnchor(name="ann", public_key_pem=PUBLIC[0], roles=("safety",)),
    KeyAnchor(name="ben", public_key_pem=PUBLIC[1]),
    KeyAnchor(name="ann again", public_key_pem=PUBLIC[0], not_after=datetime(2020, 1, 1, tzinfo=UTC)),
)
SAID = {"decision": "approve", "timeReviewed": "2026-11-20T14:02:00Z", "comment": "Grüße"}
GOOD = write_statement(
    Statement(
        subjects=(Named(name="m", files=Digest("sha256", b"\1" * 32), others=(("sha256", "ab" * 32),)),),
        predicate_type="weighbridge.review/v1",
        predicate=SAID,
    )
)


def line(payload: bytes, who: int = 0) -> bytes:
    """A line with whatever payload, well signed."""
    envelope = Envelope(payload=payload, signature=keys.sign(PEOPLE[who], pae(payload)))
    return write_bundle(envelope, key_material(keys.hint(PEOPLE[who].public_key())))


def alike(data: bytes, anchors: tuple[KeyAnchor, ...] = ANCHORS) -> list[batch.Judged]:
    """What the batch says, checked against `judge_one`."""
    found = list(judge_lines(data, "s.jsonl", anchors, (), NOW))
    slow = [judge_one(bundle, anchors, (), NOW) for bundle in read_lines(data, "s.jsonl")]
    assert list(judge_many(split_lines(data, "s.jsonl"), anchors, (), NOW)) == slow
    assert [one.source for one in found] == [one.source for one in slow]
    for mine, theirs in zip(found, slow, strict=True):
        assert mine.signer == theirs.signer
        assert (mine.code, mine.why, mine.digest) == (theirs.code, theirs.why, theirs.digest)
        assert mine.statement == theirs.statement
        assert mine.predicate_type == (theirs.statement.predicate_type if theirs.statement else "")
        assert mine.is_signed == theirs.is_signed
    return found


def test_many_people_and_a_stranger() -> None:
    lines = [line(GOOD, who) for who in (0, 1, 2, 0, 1, 2)]
    found = alike(b"\n".join(lines) + b"\n\n  \n" + lines[0])
    assert [one.signer.by for one in found] == ["ann", "ben", "", "ann", "ben", "", "ann"]
    assert found[-1].source == "s.jsonl:9"


def fast(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Lines that took the slow way, from now on."""
    slow: list[bytes] = []

    def slowly(bundle: Any, *rest: Any) -> Any:
        slow.append(bundle.envelope.payload)
        return judge_one(bundle, *rest)

    monkeypatch.setattr(batch, "judge_one", slowly)
    return slow


@pytest.mark.parametrize("who", [0, 1])
def test_what_we_write_takes_the_fast_way(who: int, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = fast(monkeypatch)
    signed = sign_statement(GOOD, SIGNERS[who])
    found = list(judge_lines(b"\n".join([signed] * 3), "s.jsonl", ANCHORS, (), NOW))
    assert [one.is_signed for one in found] == [True] * 3
    assert slow == []


def _twice(text: bytes) -> bytes:
    return text.replace(b'"decision":"approve"', b'"decision":"reject","decision":"approve"')


DOUBTFUL: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a key twice": (_twice, "duplicate-key"),
    "the type twice": (lambda p: p.replace(b'"_type"', b'"_type":"x","_type"'), "duplicate-key"),
    "a digest twice": (lambda p: p.replace(b'"sha256":', b'"sha256":"00","sha256":'), "duplicate-key"),
    "spaces": (lambda p: p.replace(b'":', b'": '), ""),
    "an escape": (lambda p: p.replace(b"approve", b"\\u0061pprove"), ""),
    "a long number": (lambda p: p.replace(b'"approve"', b"1" * 400), ""),
    "an endless number": (lambda p: p.replace(b'"approve"', b"1e999"), ""),
    "NaN": (lambda p: p.replace(b'"approve"', b"NaN"), "bad-json"),
    "a lone surrogate": (lambda p: p.replace(b"approve", b"\\ud800"), ""),
    "invalid UTF-8": (lambda p: p.replace(b"approve", b"\xff"), "bad-json"),
    "a mark at the start": (lambda p: b"\xef\xbb\xbf" + p, "bad-json"),
    "something behind": (lambda p: p + b"x", "bad-json"),
    "two documents": (lambda p: p + p, "bad-json"),
    "deep": (lambda p: p.replace(b'"approve"', b"[" * 5000 + b"]" * 5000), "bad-json"),
    "another type": (lambda p: p.replace(b"Statement/v1", b"Statement/v2"), "bad-statement"),
    "no subject": (lambda p: _with(p, subject=[]), "bad-statement"),
    "a subject by name": (lambda p: _with(p, subject=[{"name": "m"}]), "bad-statement"),
    "an upper-case digest": (lambda p: p.replace(b"abab", b"ABAB"), "bad-statement"),
    "a digest of another algorithm": (lambda p: p.replace(b'"sha256":', b'"sha512":'), ""),
    "no predicate": (lambda p: _with(p, predicate=None), "bad-statement"),
    "a predicate that is a list": (lambda p: _with(p, predicate=[]), "bad-statement"),
    "no predicate type": (lambda p: _with(p, predicateType=""), "bad-statement"),
    "another order": (lambda p: write_json(dict(reversed(json.loads(p).items()))), ""),
    "one field more": (lambda p: _with(p, more=1), ""),
    "no JSON": (lambda _: b"\x80\x04K\x01.", "bad-json"),
}


def _with(payload: bytes, **fields: Any) -> bytes:
    return write_json({**json.loads(payload), **fields})


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_doubtful_payload(name: str) -> None:
    change, code = DOUBTFUL[name]
    changed = change(GOOD)
    assert changed != GOOD
    found = alike(line(GOOD) + b"\n" + line(changed))
    assert (found[1].code, found[1].signer.outcome) == (code, Outcome.PASS)


LINES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no media type": (lambda b: {**b, "mediaType": ""}, "media-type"),
    "several signatures": (
        lambda b: {**b, "dsseEnvelope": {**b["dsseEnvelope"], "signatures": b["dsseEnvelope"]["signatures"] * 2}},
        "several-signatures",
    ),
    "no signature": (
        lambda b: {**b, "dsseEnvelope": {**b["dsseEnvelope"], "signatures": []}}, "no-signatures"
    ),
    "another payload type": (
        lambda b: {**b, "dsseEnvelope": {**b["dsseEnvelope"], "payloadType": "text/plain"}}, "payload-type"
    ),
    "a message signature too": (lambda b: {**b, "messageSignature": {}}, "bundle-ambiguous"),
    "a field more": (lambda b: {**b, "x": 1}, ""),
    "a list": (lambda b: [b], "bad-bundle"),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_a_doubtful_line(name: str) -> None:
    change, code = LINES[name]
    found = alike(line(GOOD) + b"\n" + write_json(change(json.loads(line(GOOD)))) + b"\n" + line(GOOD, 1))
    assert found[1].code == code
    assert [one.is_signed for one in found] == [True, not code, True]


def test_a_key_of_the_bundle_that_stands_twice() -> None:
    doubled = line(GOOD).replace(b'"payload":', b'"payload":"eA==","payload":')
    found = alike(line(GOOD) + b"\n" + doubled)
    assert found[1].code == "duplicate-key"


def test_a_wrong_signature_and_a_wrong_hint() -> None:
    other = _with(GOOD, predicate={})
    wrong = write_bundle(
        Envelope(payload=other, signature=keys.sign(PEOPLE[0], pae(GOOD))),
        key_material(keys.hint(PEOPLE[0].public_key())),
    )
    by_other = write_bundle(
        Envelope(payload=other, signature=keys.sign(PEOPLE[1], pae(other))),
        key_material(keys.hint(PEOPLE[0].public_key())),
    )
    short = write_bundle(
        Envelope(payload=other, signature=b"\1"), key_material(keys.hint(PEOPLE[0].public_key()))
    )
    found = alike(b"\n".join([line(GOOD), wrong, by_other, short]))
    assert [one.signer.code for one in found] == ["", "signature-wrong", "", "signature-wrong"]
    assert found[2].signer.by == "ben"


def test_a_key_that_may_sign_no_more() -> None:
    late = (KeyAnchor(name="ann", public_key_pem=PUBLIC[0], not_after=datetime(2020, 1, 1, tzinfo=UTC)),)
    found = alike(b"\n".join([line(GOOD)] * 3), late)
    assert {one.signer.code for one in found} == {"anchor-expired"}


def test_nobody_is_trusted() -> None:
    assert alike(line(GOOD), ())[0].signer.code == "no-anchors"


def test_too_many_subjects() -> None:
    subject = {"digest": {"sha256": "ab" * 32}}
    many = write_json(
        {"_type": STATEMENT, "subject": [subject] * (MAX_SUBJECTS + 1), "predicateType": "x", "predicate": {}}
    )
    assert alike(line(many))[0].code == "bad-statement"
    most = write_json(
        {"_type": STATEMENT, "subject": [subject] * 1000, "predicateType": "x", "predicate": {}}
    )
    assert alike(line(most))[0].is_signed


def test_too_many_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    from weighbridge.sign import bundle

    monkeypatch.setattr(bundle, "MAX_LINES", 3)
    monkeypatch.setattr(bundle, "MAX_BUNDLE", 5000)
    found = alike(b"\n".join([line(GOOD), b"x" * 6000, b"[]", line(GOOD), line(GOOD)]))
    assert [one.code for one in found] == ["", "limit-json", "bad-bundle", "limit-bundles"]


def test_a_file_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from weighbridge.sign import bundle

    monkeypatch.setattr(bundle, "MAX_STATEMENTS_FILE", 100)
    assert [one.code for one in alike(line(GOOD))] == ["limit-json"]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ABCDabcd0129+/=\n ", max_size=12))
def test_base64_is_as_strict_as_the_slow_one(text: str) -> None:
    try:
        slow = decode_base64(text, "x")
    except Exception:
        slow = b""
    assert batch._base64(text) == slow


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=12))
def test_base64_of_everything(data: bytes) -> None:
    assert batch._base64(encode_base64(data)) == data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=3), st.booleans(), st.data())
def test_what_the_fast_reader_takes_the_slow_one_takes(
    predicate: dict[str, Any], ascii_only: bool, data: st.DataObject
) -> None:
    document = {**json.loads(GOOD), "predicate": predicate}
    text = json.dumps(document, ensure_ascii=ascii_only, separators=(",", ":"))
    payload = bytearray(text.encode("utf-8", "surrogatepass"))
    if data.draw(st.booleans()):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    kind = batch._kind_of(bytes(payload))
    if kind:
        assert read_statement(bytes(payload)).predicate_type == kind
