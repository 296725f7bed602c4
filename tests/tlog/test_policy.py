"""Quorums, entries and proofs: what is accepted, and what each refusal is called."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from weighbridge.core.errors import InputError, TrustError, UsageError, WeighbridgeError
from weighbridge.tlog.checkpoint import Checkpoint, write_checkpoint
from weighbridge.tlog.entry import MAX_ENTRY, EntryKind, LogEntry, make_entry, read_entry, write_entry
from weighbridge.tlog.merkle import Edge, Tree, leaf_hash
from weighbridge.tlog.note import Kind, sign_note, write_note
from weighbridge.tlog.policy import LogPolicy, read_policy, trust_checkpoint, write_policy
from weighbridge.tlog.proof import LogProof, make_proof, read_proof, verify_proof, write_proof

from .logs import EAST, LOG, NORTH, NOW, ORIGIN, SOUTH, entry, policy, signer

HEAD = write_checkpoint(Checkpoint(origin=ORIGIN, size=7, root=bytes(range(32))))
KEYS = {f"{{{name}}}": str(key.vkey) for name, key in {"log": LOG, "n": NORTH, "s": SOUTH, "e": EAST}.items()}


def filled(text: str) -> bytes:
    for name, key in KEYS.items():
        text = text.replace(name, key)
    return text.encode()


def test_a_policy_is_read_as_the_specification_writes_it() -> None:
    text = "# who\n\n  log {log}\thttps://log.example.com\nwitness a {n}\nwitness b {s}\ngroup g any b\n"
    found = read_policy(filled(f"{text}group h 2 a g\nquorum h\n"))
    assert (found.logs[0].key, found.logs[0].url) == (LOG.vkey, "https://log.example.com")
    assert [(group.needed, group.members) for group in found.groups] == [(1, ("b",)), (2, ("a", "g"))]
    assert [found.is_met(names) for names in ((), ("a",), ("b",), ("a", "b"))] == [False, False, False, True]
    assert read_policy(write_policy(found)) == found
    assert read_policy(b"quorum none\n") == LogPolicy(logs=())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log {log}\n",
        "quorum none",
        "quorum none\nquorum none\n",
        "quorum a\nwitness a {n}\n",
        "witness none {n}\nquorum none\n",
        "witness a {n}\nwitness a {s}\nquorum a\n",
        "witness a {n}\nwitness b {n}\nquorum a\n",
        "log {log}\nlog {log}\nquorum none\n",
        "log {n}\nquorum none\n",
        "witness a {log}\nquorum a\n",
        "group g any none\nquorum g\n",
        "group g any\nquorum g\n",
        "group g 1 g\nquorum g\n",
        "witness a {n}\ngroup g 0 a\nquorum g\n",
        "witness a {n}\ngroup g 2 a\nquorum g\n",
        "witness a {n}\ngroup g -1 a\nquorum g\n",
        "witness a {n}\ngroup g ² a\nquorum g\n",
        "witness a {n}\ngroup g any a a\nquorum g\n",
        "witness a {n}\ngroup g any a\ngroup h any a\nquorum g\n",
        "witness a {n} one two\nquorum a\n",
        "witnesses a {n}\nquorum a\n",
        "quorum none\r\n",
        "quorum none\n\x00\n",
    ],
)
def test_a_policy_that_says_nothing_clear_is_refused(text: str) -> None:
    with pytest.raises(TrustError) as caught:
        read_policy(filled(text))
    assert caught.value.code == "bad-log-policy"


def test_names_are_opaque_octets() -> None:
    found = read_policy(
        filled("witness K {n}\n") + b"witness \xe2\x84\xaa " + KEYS["{s}"].encode() + b"\nquorum K\n"
    )
    assert found.is_met(["K"])
    assert not found.is_met(["\N{KELVIN SIGN}"])


def test_a_log_cannot_be_its_own_witness() -> None:
    from weighbridge.tlog.note import VerifierKey

    twin = VerifierKey(name="w.example.com", kind=Kind.COSIGNATURE, key=LOG.vkey.key)
    for lines in ((f"log {LOG.vkey}", f"witness a {twin}"), (f"witness a {twin}", f"log {LOG.vkey}")):
        with pytest.raises(TrustError):
            read_policy("\n".join((*lines, "quorum a", "")).encode())


def test_a_checkpoint_needs_its_log_and_enough_witnesses() -> None:
    def note(*signers: object, text: str = HEAD) -> bytes:
        return write_note(sign_note(text, signers, NOW))  # type: ignore[arg-type]

    trusted = trust_checkpoint(policy(2), note(LOG, NORTH, SOUTH), NOW)
    assert trusted.witnesses == (("north", NOW), ("south", NOW))
    assert (trusted.checkpoint.size, trusted.time) == (7, NOW)
    assert trust_checkpoint(policy(0), note(LOG)).time is None
    stranger = signer("stranger.example.com", Kind.COSIGNATURE)
    namesake = signer(ORIGIN, Kind.MLDSA44)
    for data, code in (
        (note(LOG), "log-quorum"),
        (note(LOG, NORTH), "log-quorum"),
        (note(LOG, NORTH, stranger), "log-quorum"),
        (note(LOG, NORTH, NORTH), "log-quorum"),
        (note(NORTH, SOUTH), "log-unsigned"),
        (note(namesake, NORTH, SOUTH), "log-unsigned"),
        (note(LOG, NORTH, SOUTH, text=HEAD.replace("log.", "lag.")), "log-unsigned"),
        (note(LOG, NORTH, SOUTH).replace(b"\n7\n", b"\n8\n"), "bad-note-signature"),
    ):
        with pytest.raises(InputError) as caught:
            trust_checkpoint(policy(2), data, NOW)
        assert caught.value.code == code


def test_a_cosignature_from_the_future_does_not_count() -> None:
    note = sign_note(HEAD, [LOG], NOW)
    lines = (*note.signatures, NORTH.sign(HEAD, NOW), SOUTH.sign(HEAD, NOW + 3600))
    data = write_note(type(note)(text=HEAD, signatures=lines))
    assert trust_checkpoint(policy(2), data).checkpoint.size == 7
    assert trust_checkpoint(policy(2), data, NOW + 3600).time == NOW
    with pytest.raises(InputError) as caught:
        trust_checkpoint(policy(2), data, NOW)
    assert caught.value.code == "log-quorum"


def test_the_quorums_time_is_when_enough_had_vouched() -> None:
    assert policy(2).quorum_time({"north": 10, "south": 30, "east": 20}) == 20
    assert policy(1).quorum_time({"north": 10, "south": 30}) == 30
    assert policy(3).quorum_time({"north": 10, "south": 30}) is None
    assert policy(0).quorum_time({"north": 10}) is None


# ------------------------------------------------------------------------------------------------------------ proofs


def proved(count: int = 300, index: int = 257) -> tuple[LogProof, bytes]:
    texts = [write_entry(entry(number)) for number in range(count)]
    edge, tiles = Edge(), {}
    for text in texts:
        tiles.update(edge.add(leaf_hash(text)))
    tiles.update(edge.partial())
    head = write_checkpoint(Checkpoint(origin=ORIGIN, size=count, root=edge.root()))
    note = write_note(sign_note(head, [LOG, NORTH, SOUTH], NOW))
    return make_proof(Tree(count, tiles.__getitem__), index, note), texts[index]


def test_a_proof_is_a_file_that_is_enough_by_itself() -> None:
    proof, text = proved()
    data = write_proof(proof)
    assert data.startswith(b"c2sp.org/tlog-proof@v1\nindex 257\n")
    assert read_proof(data) == proof
    found = verify_proof(read_proof(data), text, policy(2), NOW)
    assert (found.index, found.trusted.checkpoint.size) == (257, 300)
    with pytest.raises(InputError) as caught:
        verify_proof(proof, write_entry(entry(256)), policy(2), NOW)
    assert caught.value.code == "log-not-included"
    with pytest.raises(InputError) as caught:
        verify_proof(proof, text, policy(3), NOW)
    assert caught.value.code == "log-quorum"


def test_the_proof_of_the_only_entry_has_no_hashes() -> None:
    proof, text = proved(1, 0)
    assert proof.hashes == ()
    assert verify_proof(read_proof(write_proof(proof)), text, policy(2)).index == 0


def test_extra_data_come_back_and_prove_nothing() -> None:
    proof, text = proved()
    extra = LogProof(index=proof.index, hashes=proof.hashes, checkpoint=proof.checkpoint, extra=b"not signed")
    assert read_proof(write_proof(extra)) == extra
    assert verify_proof(extra, text, policy(2), NOW).index == 257


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"@v1", b"@v2"),
        (b"index 257", b"index 0257"),
        (b"index 257", b"index -1"),
        (b"index 257", b"extra !\nindex 257"),
        (b"index 257\n", b"index 257\nAAAA\n"),
        (b"index 257\n", b""),
        (b"index 257\n", b"index 257\r\n"),
        (b"\n\n", b"\n"),
        (b"index 257\n", b"index 257\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 64),
    ],
)
def test_what_is_no_proof_is_refused(old: bytes, new: bytes) -> None:
    data = write_proof(proved()[0]).replace(old, new, 1)
    with pytest.raises(InputError) as caught:
        read_proof(data)
    assert caught.value.code in ("bad-log-proof", "bad-note")


@given(some.integers(0, 1200), some.integers(1, 255))
@settings(max_examples=80, deadline=None)
def test_no_changed_byte_of_a_proof_goes_unseen(at: int, bits: int) -> None:
    """Any byte of index, hashes or checkpoint text that is another one ends in a refusal."""
    proof, text = proved()
    data = bytearray(write_proof(proof))
    at %= data.index(b"\xe2\x80\x94")  # what stands before the signature lines
    data[at] ^= bits
    with pytest.raises(WeighbridgeError):
        verify_proof(read_proof(bytes(data)), text, policy(2), NOW)


# ----------------------------------------------------------------------------------------------------------- entries


def test_an_entry_has_one_text() -> None:
    one = entry(1)
    text = write_entry(one)
    assert read_entry(text) == one
    assert text == (
        b'{"issuer":"example.com/people/ann","kind":"attest","predicateType":"https://slsa.dev/provenance/v1",'
        b'"statement":"sha256:%s","subjects":["%s"],"time":1790000001}'
        % (one.statement.hex().encode(), one.subjects[0].encode())
    )


@given(some.text(max_size=300), some.sampled_from(EntryKind), some.integers(-1, 1 << 41))
@settings(max_examples=100, deadline=None)
def test_entries_come_back_or_are_refused(words: str, kind: EntryKind, time: int) -> None:
    made = LogEntry(kind=kind, statement=bytes(32), predicate_type=words, issuer=words[::-1], time=time)
    try:
        text = write_entry(made)
    except UsageError as error:
        assert error.code == "log-entry"  # noqa: PT017 - either outcome is right
    else:
        assert read_entry(text) == made
        assert len(text) <= MAX_ENTRY


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"attest"', '"bless"'),
        ('"attest"', "1"),
        ("1790000001", "1790000001.0"),
        ("1790000001", "true"),
        ("1790000001", '"now"'),
        ('{"issuer"', '{ "issuer"'),
        ('"time"', '"time":1,"time"'),
        ('"time"', '"more":1,"time"'),
        ("sha256:", "sha1:"),
        ("[", "[1,"),
        ("[", '["md5:00",'),
        ("}", "}\n"),
    ],
)
def test_another_text_is_no_entry(old: str, new: str) -> None:
    text = write_entry(entry(1)).decode().replace(old, new, 1)
    with pytest.raises(InputError) as caught:
        read_entry(text.encode())
    assert caught.value.code in ("bad-log-entry", "bad-json", "duplicate-key")


def test_too_many_subjects_leave_none() -> None:
    subjects = [f"sha256:{number:064x}" for number in range(40)]
    given_words = {
        "kind": EntryKind.REVOKE,
        "statement": bytes(32),
        "predicate_type": "p",
        "issuer": "i",
        "time": 1,
    }
    assert make_entry(**given_words, subjects=[*subjects[:3], *subjects[:2]]).subjects == tuple(subjects[:3])  # type: ignore[arg-type]
    assert make_entry(**given_words, subjects=subjects).subjects == ()  # type: ignore[arg-type]
