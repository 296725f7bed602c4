import os
import stat

import pytest

from weighbridge.core.durable import write_file
from weighbridge.core.errors import UsageError


def test_the_whole_file_is_there_with_its_mode(tmp_path):
    path = tmp_path / "key"
    write_file(path, b"secret", mode=0o600)
    assert path.read_bytes() == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_overwrite_the_old_file_stays(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"old")
    with pytest.raises(UsageError) as caught:
        write_file(path, b"new", overwrite=False)
    assert caught.value.code == "file-exists"
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_an_interrupted_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "model.sig"
    path.write_bytes(b"old")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["model.sig"]
