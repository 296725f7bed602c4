"""Single tensors by their own signed digests: only they are read, and only the signed bytes come out."""

import numpy as np
import pytest
from safetensors.numpy import save_file

import weighbridge
from tests.tensorfiles import safetensors
from weighbridge.core.errors import UsageError
from weighbridge.store import LocalSource

MIB = 1024**2


@pytest.fixture
def big(tmp_path):
    folder = tmp_path / "big"
    (folder / "sub").mkdir(parents=True)
    random = np.random.default_rng(5)
    arrays = {f"w{i}": random.integers(0, 255, (3, MIB), dtype=np.uint8) for i in range(4)}
    save_file(arrays, folder / "model.safetensors")
    save_file({"x": arrays["w1"][:1]}, folder / "sub" / "model.safetensors")
    return folder, arrays


@pytest.fixture
def read(monkeypatch):
    """Bytes that were read from disk through sources."""
    count = [0]
    real = LocalSource.read_into

    def counted(self, offset, buffer):
        count[0] += len(buffer)
        real(self, offset, buffer)

    monkeypatch.setattr(LocalSource, "read_into", counted)
    return count


def test_only_what_is_asked_for_is_read(big, sign, key, read):
    folder, arrays = big
    sign(folder)
    read[0] = 0
    found = weighbridge.load(folder, key=key, tensors=["w2", "sub/x"])
    assert list(found) == ["w2", "sub/x"]
    np.testing.assert_array_equal(found["w2"], arrays["w2"])
    np.testing.assert_array_equal(found["sub/x"], arrays["w1"][:1])
    assert 4 * MIB <= read[0] < 5 * MIB
    assert {row.question: row.outcome.value for row in found.report.evidence} == {
        "signed": "pass", "intact": "pass", "safe": "pass", "read": "pass",
    }  # fmt: skip
    assert "2 tensors" in found.report.signatures[0].covers


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_changed_tensor_is_refused_and_its_neighbours_are_not(big, sign, key):
    folder, arrays = big
    sign(folder)
    flip(folder / "model.safetensors", -1)  # in w3
    np.testing.assert_array_equal(weighbridge.load(folder, key=key, tensors=["w0"])["w0"], arrays["w0"])
    with pytest.raises(weighbridge.LoadRefused) as refused:
        weighbridge.load(folder, key=key, tensors=["w0", "w3"])
    assert refused.value.report.signatures[0].difference.tensors_changed == ("w3",)
    assert "contents-differ" in str(refused.value)


def test_a_header_that_points_elsewhere(tmp_path, sign, key):
    """The header is not signed by itself: whatever it says, the signed bytes come out under the name, or nothing."""
    path = tmp_path / "m.safetensors"
    data = b"aaaabbbb"
    path.write_bytes(safetensors({"a": ("U8", [4], 0, 4), "b": ("U8", [4], 4, 8)}, data))
    sign(path)
    path.write_bytes(safetensors({"b": ("U8", [4], 0, 4), "a": ("U8", [4], 4, 8)}, data))
    with pytest.raises(weighbridge.LoadRefused):
        weighbridge.load(path, key=key, tensors=["a"])
    path.write_bytes(safetensors({"a": ("I8", [4], 0, 4), "b": ("U8", [4], 4, 8)}, data))
    with pytest.raises(weighbridge.LoadRefused):
        weighbridge.load(path, key=key, tensors=["a"])
    path.write_bytes(safetensors({"a": ("U8", [2, 2], 0, 4), "b": ("U8", [4], 4, 8)}, data))
    with pytest.raises(weighbridge.LoadRefused):
        weighbridge.load(path, key=key, tensors=["a"])
    path.write_bytes(safetensors({"b": ("U8", [8], 0, 8)}, data))
    with pytest.raises(weighbridge.LoadRefused) as refused:
        weighbridge.load(path, key=key, tensors=["a"])
    assert refused.value.report.signatures[0].difference.tensors_removed == ("a",)


def test_the_wrong_key_is_refused_as_for_a_whole_load(big, sign, keys):
    folder, _ = big
    sign(folder)
    with pytest.raises(weighbridge.LoadRefused, match="signer-unknown"):
        weighbridge.load(folder, key=keys / "other.pub", tensors=["w0"])


def test_a_name_that_nobody_signed_means_reading_everything(big, sign, key):
    folder, _ = big
    sign(folder)
    with pytest.raises(UsageError, match="no-such-tensor"):
        weighbridge.load(folder, key=key, tensors=["w0", "nothing"])


def test_an_unsigned_model_is_read_whole(big):
    folder, arrays = big
    found = weighbridge.load(folder, policy="research", tensors=["w0"])
    assert list(found) == ["w0"]
    np.testing.assert_array_equal(found["w0"], arrays["w0"])


def test_two_signers_must_both_have_signed_the_tensor(big, sign, key, keys, tmp_path):
    from weighbridge.trust.keyring import from_public_key
    from weighbridge.trust.keyring.editing import add_identity, init_keyring

    folder, _ = big
    sign(folder)
    trust = tmp_path / "trust"
    init_keyring(trust)
    for name in ("publisher", "other"):
        add_identity(trust, from_public_key((keys / f"{name}.pub").read_bytes(), name))
    policy = tmp_path / "two.toml"
    policy.write_text("[policy]\nthreshold = 2\n")
    with pytest.raises(weighbridge.LoadRefused, match="threshold-not-met"):
        weighbridge.load(folder, trust=trust, policy=policy, tensors=["w0"])
    sign(folder, "other", add=True)
    assert list(weighbridge.load(folder, trust=trust, policy=policy, tensors=["w0"])) == ["w0"]


def test_shards_are_verified_before_anything_in_them_is_looked_at(big, sign, key, read, monkeypatch):
    folder, arrays = big
    monkeypatch.setattr("weighbridge.sign.oms.writing._tensor_notes", lambda manifest: ({}, {}))
    sign(folder, shard_size=MIB)
    read[0] = 0
    found = weighbridge.load(folder, key=key, tensors=["w1"])
    np.testing.assert_array_equal(found["w1"], arrays["w1"])
    assert (
        read[0] < 11 * MIB
    )  # of 13: the shards of w1, and those that the header and what is looked at first lie in
    flip(folder / "model.safetensors", 20)  # in the header
    with pytest.raises(weighbridge.LoadRefused, match="were not signed"):
        weighbridge.load(folder, key=key, tensors=["w1"])


def test_a_file_of_another_size_than_its_shards(big, sign, key, monkeypatch):
    folder, _ = big
    monkeypatch.setattr("weighbridge.sign.oms.writing._tensor_notes", lambda manifest: ({}, {}))
    sign(folder, shard_size=MIB)
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(weighbridge.LoadRefused, match="size that was signed"):
        weighbridge.load(folder, key=key, tensors=["w1"])


def test_policies_that_ask_about_files_get_whole_files(big, sign, key, tmp_path, read):
    folder, _ = big
    sign(folder)
    policy = tmp_path / "rule.toml"
    policy.write_text('[[policy.rule]]\nname = "few"\nrequire = "files.size() < 10"\nmessage = "too many"\n')
    read[0] = 0
    found = weighbridge.load(folder, key=key, tensors=["w0"], policy=policy)
    assert list(found) == ["w0"]
    assert {row.question for row in found.report.evidence} >= {"rule:few"}
    assert read[0] > 12 * MIB
