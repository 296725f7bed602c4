"""The bytes that are signed, and the envelope around them."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OtherEnvelope

from weighbridge.core.errors import InputError
from weighbridge.sign import dsse

VALUE = {
    "payload": base64.b64encode(b"{}").decode(),
    "payloadType": dsse.PAYLOAD_TYPE,
    "signatures": [{"sig": base64.b64encode(b"sig").decode(), "keyid": ""}],
}


def test_pae_is_the_example_of_the_protocol() -> None:
    """The one worked example in DSSE's protocol.md."""
    assert dsse.pae(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@settings(max_examples=50, deadline=None)
@given(payload=st.binary(max_size=200), kind=st.text(max_size=20))
def test_pae_agrees_with_another_implementation(payload: bytes, kind: str) -> None:
    assert dsse.pae(payload, kind) == OtherEnvelope(payload, kind, {}).pae()


@settings(max_examples=50, deadline=None)
@given(payload=st.binary(min_size=1), signature=st.binary(min_size=1), keyid=st.text(max_size=10))
def test_envelopes_round_trip(payload: bytes, signature: bytes, keyid: str) -> None:
    """`read_envelope(write_envelope(e)) == e`."""
    envelope = dsse.Envelope(payload=payload, signature=signature, keyid=keyid)
    assert dsse.read_envelope(dsse.write_envelope(envelope)) == envelope


@pytest.mark.parametrize("keyid", [None, "", "any"])
def test_keyid_may_be_anything(keyid: str | None) -> None:
    value = VALUE | {"signatures": [VALUE["signatures"][0] | {"keyid": keyid}]}  # type: ignore[index, operator]
    assert dsse.read_envelope(value).keyid == (keyid or "")


def test_keyid_may_be_absent() -> None:
    assert dsse.read_envelope(VALUE | {"signatures": [{"sig": "c2ln"}]}).signature == b"sig"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"signatures": []}, "no-signatures"),
        ({"signatures": [{"sig": "c2ln"}, {"sig": "c2ln"}]}, "several-signatures"),
        ({"signatures": {}}, "bad-envelope"),
        ({"signatures": ["c2ln"]}, "bad-envelope"),
        ({"signatures": [{"sig": 1}]}, "bad-envelope"),
        ({"signatures": [{"sig": "c2ln", "keyid": 7}]}, "bad-envelope"),
        ({"payloadType": "text/plain"}, "payload-type"),
        ({"payloadType": None}, "bad-envelope"),
        ({"payload": ""}, "bad-base64"),
        ({"payload": "e30"}, "bad-base64"),
        ({"payload": "e3 0="}, "bad-base64"),
        ({"payload": "e30=\n"}, "bad-base64"),
        ({"payload": "e31="}, "bad-base64"),
        ({"payload": "_-8="}, "bad-base64"),
        ({"payload": "é30="}, "bad-base64"),
    ],
)
def test_a_wrong_envelope_is_refused(change: dict[str, object], code: str) -> None:
    with pytest.raises(InputError) as caught:
        dsse.read_envelope(VALUE | change)
    assert caught.value.code == code


@pytest.mark.parametrize("key", ["payload", "payloadType", "signatures"])
def test_every_field_is_needed(key: str) -> None:
    with pytest.raises(InputError) as caught:
        dsse.read_envelope({name: value for name, value in VALUE.items() if name != key})
    assert caught.value.code == "bad-envelope"
