"""The same keys and models as in the tests of loading; and things whose loading would leave a trace."""

import os
import pickle

import pytest

from tests.loading.conftest import key, keys, model, nobody_else, sign

__all__ = ["key", "keys", "model", "nobody_else", "sign"]


class Harm:
    """Pickled, it is a call of a shell that leaves a file behind."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"echo weighbridge-sample > {self.trace}",)


@pytest.fixture
def trace(tmp_path):
    """The file that would be there if anything harmful had run; it must never be."""
    path = tmp_path / "trace"
    yield path
    assert not path.exists()


@pytest.fixture
def harm(trace):
    return Harm(str(trace))


@pytest.fixture
def harmful(harm):
    return pickle.dumps(harm)
