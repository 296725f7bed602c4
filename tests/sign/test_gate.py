"""A gate's verdict, read strictly."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.errors import InputError, LimitError
from weighbridge.sign.gate import is_verdict, read_verdict

FILES = "ab" * 32


def statement(**changes):
    whole = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"weighbridge-files-v1-sha256": FILES}}],
        "predicateType": "weighbridge.check/v1",
        "predicate": {
            "verdict": "admitted",
            "policy": {"name": "p", "digest": "sha256:00"},
            "timeVerified": "2026",
        },
    }
    return json.dumps(whole | changes).encode()


def test_a_verdict_is_read():
    said = read_verdict(statement())
    assert (said.verdict, str(said.files), said.policy, said.time) == (
        "admitted",
        f"sha256:{FILES}",
        "p sha256:00",
        "2026",
    )


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (statement(subject=[]), "bad-verdict"),
        (statement(subject=[{"name": "m"}]), "bad-verdict"),
        (statement(subject=[{"name": "m", "digest": {"sha256": FILES}}]), "bad-verdict"),
        (statement(subject=[{"digest": {"weighbridge-files-v1-sha256": "zz"}}]), "bad-digest"),
        (statement(subject=[{"digest": {"weighbridge-files-v1-sha256": 7}}]), "bad-verdict"),
        (statement(predicate={}), "bad-verdict"),
        (statement(predicateType="weighbridge.check/v2"), "bad-verdict"),
        (b'{"predicateType": "weighbridge.check/v1", "predicateType": "x"}', "duplicate-key"),
        (b"[]", "bad-verdict"),
    ],
)
def test_what_is_no_verdict_is_refused(payload, code):
    with pytest.raises(InputError) as caught:
        read_verdict(payload)
    assert caught.value.code == code


@given(st.binary(max_size=60))
def test_noise_is_no_verdict(data):
    assert not is_verdict(data)
    with pytest.raises((InputError, LimitError)):
        read_verdict(data)
