"""Signed notes, keys and checkpoints, with the vectors that other implementations publish."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from weighbridge.core.errors import InputError, TrustError
from weighbridge.tlog.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from weighbridge.tlog.note import (
    Kind,
    Note,
    NoteSigner,
    Signature,
    generate_signer,
    read_note,
    read_signer,
    read_vkey,
    sign_note,
    verify_note,
    write_note,
    write_signatures,
)

from .logs import LOG, NORTH, NOW, ORIGIN, SOUTH

# C2SP signed-note and golang.org/x/mod/sumdb/note.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
PETER_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
ENOCH_LINE = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
HEAD = write_checkpoint(Checkpoint(origin=ORIGIN, size=7, root=bytes(range(32))))


def test_the_note_of_the_specification_verifies() -> None:
    key = read_vkey(SPEC_KEY)
    assert str(key) == SPEC_KEY
    (signed,) = verify_note(read_note(SPEC_NOTE.encode()), [key])
    assert (signed.key, signed.time) == (key, None)


def test_signing_gives_the_published_bytes() -> None:
    peter = read_signer(PETER_SECRET)
    assert str(peter.vkey) == PETER
    assert peter.write() == PETER_SECRET
    assert write_note(sign_note(TEXT, [peter], NOW)) == f"{TEXT}\n{PETER_LINE}".encode()


def test_unknown_signers_are_ignored_and_known_ones_must_hold() -> None:
    peter, enoch = read_vkey(PETER), read_vkey(ENOCH)
    note = read_note(f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode())
    assert [signed.key for signed in verify_note(note, [peter])] == [peter]
    assert [signed.key for signed in verify_note(note, [enoch, peter])] == [peter, enoch]
    assert verify_note(note, []) == ()
    assert [
        signed.key for signed in verify_note(read_note(f"{TEXT}\n{PETER_LINE}{PETER_LINE}".encode()), [peter])
    ] == [peter]
    forged = read_note(f"{TEXT.replace('answer', 'Answer')}\n{PETER_LINE}".encode())
    with pytest.raises(InputError) as caught:
        verify_note(forged, [peter, enoch])
    assert caught.value.code == "bad-note-signature"
    assert verify_note(forged, [enoch]) == ()


def test_a_mangled_key_is_refused() -> None:
    for text, read in ((PETER, read_vkey), (PETER_SECRET, read_signer)):
        for at in range(len(text)):
            for bent in (text[:at], text[at + 1 :], text[:at] + chr(ord(text[at]) + 1) + text[at + 1 :]):
                with pytest.raises(TrustError) as caught:
                    read(bent)
                assert caught.value.code == "bad-vkey"
    for text in (
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ):
        with pytest.raises(TrustError):
            read_vkey(text)


def test_no_message_shows_a_private_key() -> None:
    with pytest.raises(TrustError) as caught:
        read_signer(PETER_SECRET[:-1])
    assert "AYEK" not in str(caught.value)


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_signs_a_checkpoint_and_nothing_else(kind: Kind) -> None:
    signer = generate_signer("w.example.com/1", kind)
    assert read_signer(signer.write()).vkey == signer.vkey == read_vkey(str(signer.vkey))
    note = sign_note(HEAD, [signer], NOW)
    (signed,) = verify_note(read_note(write_note(note)), [signer.vkey])
    assert signed.time == (None if kind is Kind.ED25519 else NOW)
    for other in (HEAD.replace("\n7\n", "\n8\n"), HEAD.replace("log.", "lag.")):
        with pytest.raises(InputError):
            verify_note(Note(text=other, signatures=note.signatures), [signer.vkey])
    if kind is not Kind.ED25519:
        line = note.signatures[0]
        later = Signature(name=line.name, id=line.id, data=(NOW + 1).to_bytes(8, "big") + line.data[8:])
        with pytest.raises(InputError):
            verify_note(Note(text=HEAD, signatures=(later,)), [signer.vkey])
        with pytest.raises(InputError) as caught:
            signer.sign("no checkpoint\n", NOW)
        assert caught.value.code == "bad-checkpoint"


def test_the_messages_are_those_of_the_specification() -> None:
    from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

    line = NORTH.sign(HEAD, NOW)
    public = ed25519.Ed25519PublicKey.from_public_bytes(NORTH.vkey.key)
    public.verify(line.data[8:], f"cosignature/v1\ntime {NOW}\n{HEAD}".encode())
    line = SOUTH.sign(HEAD, NOW)
    name, origin = b"south.example.net/w", ORIGIN.encode()
    assert len(line.data) == 8 + 2420
    mldsa.MLDSA44PublicKey.from_public_bytes(SOUTH.vkey.key).verify(
        line.data[8:],
        b"subtree/v1\n\x00" + b"\x13" + name + NOW.to_bytes(8, "big") + bytes([len(origin)]) + origin
        + (0).to_bytes(8, "big") + (7).to_bytes(8, "big") + bytes(range(32)),
    )  # fmt: skip


def test_an_ml_dsa_cosignature_does_not_speak_of_extension_lines() -> None:
    extended = f"{HEAD}more\n"
    line = SOUTH.sign(HEAD, NOW)
    assert verify_note(Note(text=extended, signatures=(line,)), [SOUTH.vkey])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        f"text\n{PETER_LINE}".encode(),
        f"text\x01\n\n{PETER_LINE}".encode(),
        f"text\r\n\n{PETER_LINE}".encode(),
        f"text\n\n{PETER_LINE}".encode().rstrip(b"\n"),
        f"text\n\n{PETER_LINE}x\n".encode(),
        f"text\n\n{PETER_LINE.replace('=', '')}".encode(),
        f"text\n\n{PETER_LINE.replace(' x08', '  x08')}".encode(),
        f"text\n\n{PETER_LINE.replace('Peter', 'Peter+')}".encode(),
        f"text\n\n— Peter\N{NO-BREAK SPACE}Neumann{PETER_LINE[14:]}".encode(),
        "text\n\n— PeterNeumann x08goQ==\n".encode()[:-9] + b"x08g\n",
        b"\xff\n\n" + PETER_LINE.encode(),
        f"text\n\n{PETER_LINE * 65}".encode(),
        b"x" * 300_000 + f"\n\n{PETER_LINE}".encode(),
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read_note(data)
    assert caught.value.code == "bad-note"


def test_sixteen_signatures_are_accepted() -> None:
    assert len(read_note(f"text\n\n{PETER_LINE * 64}".encode()).signatures) == 64


def test_the_last_empty_line_ends_the_text() -> None:
    note = read_note(f"one\n\ntwo\n\n{PETER_LINE}".encode())
    assert note.text == "one\n\ntwo\n"
    assert write_note(note) == f"one\n\ntwo\n\n{PETER_LINE}".encode()


@given(some.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_a_note_is_read_whole_or_refused(data: bytes) -> None:
    for given_data in (data, b"text\n\n" + data, data + f"\n\n{PETER_LINE}".encode()):
        try:
            note = read_note(given_data)
        except InputError as error:
            assert error.code == "bad-note"  # noqa: PT017 - either outcome is right
        else:
            assert write_note(note) == given_data


@pytest.mark.parametrize(
    "text",
    [
        "o\n07\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n-7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n٧\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n9999999999999999999\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n7\n",
        "o\n7\nAAAA\n",
        "o\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n",
        "\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nmore\n",
        "o\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        read_checkpoint(text)
    assert caught.value.code == "bad-checkpoint"


def test_the_checkpoint_of_the_specification_is_read() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    head = read_checkpoint(text)
    assert (head.origin, head.size, head.extensions) == ("example.com/behind-the-sofa", 20852163, ())
    assert write_checkpoint(head) == text
    assert read_checkpoint(f"{text}more\n").extensions == ("more",)


def test_names_that_cannot_stand_in_a_line_are_refused() -> None:
    for name in ("", "a b", "a+b", "a\nb", "a\u2028b", "a" * 256):
        with pytest.raises(TrustError):
            NoteSigner(name, Kind.ED25519, bytes(32))


def test_cosigned_lines_carry_the_time_first() -> None:
    lines = write_signatures([LOG.sign(HEAD, NOW), NORTH.sign(HEAD, NOW)]).splitlines()
    assert len(base64.b64decode(lines[0].split(" ")[2])) == 4 + 64
    assert base64.b64decode(lines[1].split(" ")[2])[4:12] == NOW.to_bytes(8, "big")
