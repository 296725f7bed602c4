"""Statements: strict about what they speak of."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.errors import InputError
from weighbridge.core.manifest import Digest
from weighbridge.core.statement import STATEMENT, Named, Statement, read_statement, write_statement

FILES, TENSORS, OTHER = Digest("sha256", b"f" * 32), Digest("blake3", b"t" * 32), Digest("sha256", b"o" * 32)
SUBJECT = {"name": "m", "digest": {"sha256": "ab" * 32}}


def payload(**changes: Any) -> bytes:
    document = {
        "_type": STATEMENT,
        "subject": [SUBJECT],
        "predicateType": "https://example.com/x/v1",
        "predicate": {},
    }
    return json.dumps({**document, **changes}).encode()


DIGESTS = st.binary(min_size=32, max_size=32)


@given(
    st.text(max_size=20),
    st.none() | DIGESTS,
    st.none() | DIGESTS,
    st.dictionaries(st.sampled_from(["sha256", "gitCommit"]), DIGESTS),
)
def test_what_is_written_is_read(
    name: str, files: bytes | None, tensors: bytes | None, others: dict[str, bytes]
) -> None:
    named = Named(
        name=name,
        files=Digest("sha256", files) if files else None,
        tensors=Digest("blake3", tensors) if tensors else None,
        others=tuple(sorted((key, value.hex()) for key, value in others.items())),
    )
    statement = Statement(
        subjects=(named,), predicate_type="https://example.com/x/v1", predicate={"a": [1, None]}
    )
    if not named.digests:
        with pytest.raises(InputError, match="has no digest"):
            write_statement(statement)
    else:
        assert read_statement(write_statement(statement)) == statement


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", payload(_type="https://in-toto.io/Statement/v0.1"), payload(subject=[]), payload(subject={}),
        payload(subject=[{"name": "only a name"}]), payload(subject=[{"name": "m", "digest": {}}]), payload(subject=["m"]),
        payload(subject=[{"digest": {"sha256": "AB" * 32}}]), payload(subject=[{"digest": {"sha256": "ab"}}]),
        payload(subject=[{"digest": {"sha256": 3}}]), payload(subject=[{"digest": {"": "ab" * 32}}]),
        payload(subject=[{"name": 3, "digest": {"sha256": "ab" * 32}}]), payload(predicateType=""), payload(predicateType=7),
        payload(predicate=[]), payload(predicate=None),
        payload(subject=[{"digest": {"weighbridge-files-v1-sha256": "ab" * 32, "weighbridge-files-v1-blake3": "ab" * 32}}]),
        b'{"_type": "x", "_type": "y"}',
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read_statement(data)
    assert caught.value.code in ("bad-statement", "bad-json", "duplicate-key")


@pytest.mark.parametrize(
    ("named", "files", "tensors", "same"),
    [
        (Named(files=FILES), FILES, None, True),
        (Named(files=FILES), OTHER, TENSORS, False),
        (Named(tensors=TENSORS), OTHER, TENSORS, True),
        (Named(files=FILES, tensors=TENSORS), FILES, TENSORS, True),
        (Named(files=FILES, tensors=TENSORS), OTHER, TENSORS, False),
        (Named(files=FILES, tensors=TENSORS), FILES, None, False),
        (Named(name="m", others=(("sha256", "ab" * 32),)), FILES, TENSORS, False),
    ],
)
def test_every_digest_that_stands_there_must_hold(
    named: Named, files: Digest | None, tensors: Digest | None, same: bool
) -> None:
    assert named.is_same(files, tensors) is same
