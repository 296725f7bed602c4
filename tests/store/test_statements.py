"""The store of statements: found by digest and by what they are about; two writers; a writer that is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from weighbridge.core.errors import InputError, LimitError, UsageError
from weighbridge.core.manifest import Digest
from weighbridge.core.statement import Named, Statement, write_statement
from weighbridge.sign import keys
from weighbridge.sign.bundle import read_lines
from weighbridge.sign.signer import PemSigner, sign_statement
from weighbridge.store import statements
from weighbridge.store.statements import StatementStore

ANN, BEN = (PemSigner(keys.private_pem(keys.generate("ed25519"))) for _ in range(2))
FILES = "weighbridge-files-v1-sha256"


def model(number: int) -> Named:
    return Named(name=f"m{number}", files=Digest("sha256", number.to_bytes(32, "big")))


def about(number: int) -> str:
    return f"{FILES}:{number:064x}"


def signed(number: int, who: PemSigner = ANN, *more: Named) -> bytes:
    said = {"decision": "comment", "timeReviewed": "2026-11-20T14:02:00Z", "comment": str(number)}
    one = Statement(subjects=(model(number), *more), predicate_type="weighbridge.review/v1", predicate=said)
    return sign_statement(write_statement(one), who)


def test_what_is_put_is_found_by_its_digest_and_by_what_it_is_about(tmp_path: Path) -> None:
    store = StatementStore(tmp_path / "deep" / "store")
    digest = store.put(signed(1, ANN, model(2)))
    assert store.put(signed(1, ANN, model(2))) == digest
    assert store.put(signed(1, BEN, model(2))) == digest
    other = store.put(signed(2))
    assert store.get(digest) == (signed(1, ANN, model(2)), signed(1, BEN, model(2)))
    assert store.get(digest.removeprefix("sha256:")) == store.get(digest)
    assert store.about(about(1)) == store.get(digest)
    assert set(store.about(about(2))) == {*store.get(digest), *store.get(other)}
    assert store.about(about(3)) == store.get("sha256:" + "00" * 32) == ()
    assert set(store.all()) == {digest, other}
    assert not any(bundle.code for line in store.about(about(2)) for bundle in read_lines(line, "s"))


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    store = StatementStore(tmp_path / "none")
    assert store.about(about(1)) == tuple(store.all()) == ()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "../../etc", "sha256:../x", "sha256:" + "AB" * 32, "a/b:" + "00" * 32]
)
def test_only_digests_are_asked_for(tmp_path: Path, digest: str) -> None:
    store = StatementStore(tmp_path)
    with pytest.raises(UsageError) as caught:
        store.about(digest)
    assert caught.value.code == "bad-digest"
    with pytest.raises(UsageError) as caught:
        store.get(digest)
    assert caught.value.code == "bad-digest"


def test_a_bundle_over_several_lines_becomes_one(tmp_path: Path) -> None:
    store = StatementStore(tmp_path)
    digest = store.put(json.dumps(json.loads(signed(1)), indent=2).encode())
    assert [line.count(b"\n") for line in store.get(digest)] == [0]


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        (b"x", "bad-json"),
        (b"[]", "bad-bundle"),
        (b"{}", "bad-bundle"),
        (b'{"dsseEnvelope":{"payload":"e30"}}', "bad-bundle"),
        (b'{"dsseEnvelope":{"payload":"e30="}}', "bad-statement"),
        (b'{"a":1,"a":2}', "duplicate-key"),
    ],
)
def test_what_is_no_statement_is_not_kept(tmp_path: Path, bundle: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        StatementStore(tmp_path / "store").put(bundle)
    assert caught.value.code == code
    assert not (tmp_path / "store").exists()


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = StatementStore(tmp_path)
    monkeypatch.setattr(statements, "MAX_SUBJECTS", 2)
    with pytest.raises(LimitError) as caught:
        store.put(signed(1, ANN, model(2), model(3)))
    assert caught.value.code == "limit-subjects"
    assert store.about(about(1)) == ()
    monkeypatch.setattr(statements, "MAX_BUNDLES", 1)
    store.put(signed(1))
    with pytest.raises(LimitError) as caught:
        store.put(signed(1, BEN))
    assert caught.value.code == "limit-bundles"
    monkeypatch.setattr(statements, "MAX_ABOUT", 0)
    with pytest.raises(LimitError) as caught:
        store.about(about(1))
    assert caught.value.code == "limit-statements"


def test_many_subjects_are_all_names_of_it(tmp_path: Path) -> None:
    store = StatementStore(tmp_path)
    store.put(signed(1, ANN, *map(model, range(2, 40))))
    assert len(store.about(about(39))) == 1


def test_a_body_that_was_exchanged(tmp_path: Path) -> None:
    store = StatementStore(tmp_path)
    digest = store.put(signed(1))
    body = next(tmp_path.glob("bodies/*/*.jsonl"))
    body.write_bytes(signed(2) + b"\n")
    with pytest.raises(InputError) as caught:
        store.get(digest)
    assert caught.value.code == "store-damaged"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(UsageError) as caught:
        StatementStore(tmp_path / "store").put(signed(1))
    assert caught.value.code == "cannot-write"


WRITER = """
import sys
from pathlib import Path
from weighbridge.store.statements import StatementStore
store = StatementStore(Path(sys.argv[1]))
for line in Path(sys.argv[2]).read_bytes().splitlines():
    print(store.put(line), flush=True)
"""


def writer(store: Path, lines: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store), str(lines)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    """Both sign the same twelve statements: each body has both bundles, whoever came second."""
    for name, who in (("ann", ANN), ("ben", BEN)):
        (tmp_path / name).write_bytes(b"\n".join(signed(number, who) for number in range(12)))
    both = [writer(tmp_path / "store", tmp_path / name) for name in ("ann", "ben")]
    told = [one.communicate(timeout=60)[0].split() for one in both]
    assert told[0] == told[1]
    store = StatementStore(tmp_path / "store")
    assert [set(store.get(digest)) for digest in told[0]] == [
        {signed(n, ANN), signed(n, BEN)} for n in range(12)
    ]
    assert all(len(store.about(about(number))) == 2 for number in range(12))


def test_a_writer_that_is_killed_leaves_nothing_half(tmp_path: Path) -> None:
    lines = [signed(number, ANN, *map(model, range(1000 + number, 1006 + number))) for number in range(200)]
    (tmp_path / "lines").write_bytes(b"\n".join(lines))
    store, told = StatementStore(tmp_path / "store"), set[str]()
    for wait in (0.0, 0.01, 0.03, 0.06, 0.11):
        one = writer(tmp_path / "store", tmp_path / "lines")
        assert one.stdout
        first = one.stdout.readline()
        time.sleep(wait)
        one.send_signal(signal.SIGKILL)
        rest, _ = one.communicate(timeout=60)
        told |= {line for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")}
        found = set(store.all())
        assert {line.strip() for line in told} <= found
        for digest in found:
            assert len(store.get(digest)) == 1
        everything = {line for number in range(200) for line in store.about(about(number))}
        assert everything == {line for digest in found for line in store.get(digest)}
    leftovers = [path for path in (tmp_path / "store").rglob("*") if path.name.startswith(".")]
    assert leftovers == []
    for line in lines[:5]:
        store.put(line)
    assert all(len(store.about(about(1000 + number))) >= 1 for number in range(5))
