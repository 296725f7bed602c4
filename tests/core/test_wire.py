import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.wire import read_json, write_json

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(values)
def test_what_is_written_is_read_back(value):
    assert read_json(write_json(value), "it") == value


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"a":1,"a":2}', "duplicate-key"),
        (b'{"x":{"a":1,"\\u0061":2}}', "duplicate-key"),
        (b"NaN", "bad-json"),
        (b"[Infinity]", "bad-json"),
        (b"\xef\xbb\xbf{}", "bad-json"),
        (b'"\xff"', "bad-json"),
        (b"{} {}", "bad-json"),
        (b"", "bad-json"),
        (b"[" * 200_000, "bad-json"),
        (b"1" * 10_000, "bad-json"),
    ],
)
def test_what_parsers_disagree_about_is_refused(data, code):
    with pytest.raises(InputError) as caught:
        read_json(data, "it")
    assert caught.value.code == code


def test_a_document_over_the_limit_is_not_parsed():
    with pytest.raises(LimitError) as caught:
        read_json(b"[1,2,3]", "it", limit=6)
    assert caught.value.code == "limit-json"


def test_names_that_are_not_unicode_survive_as_escapes():
    assert json.loads(write_json({"path": "a\udcff"})) == {"path": "a\udcff"}
