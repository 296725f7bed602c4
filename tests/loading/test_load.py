"""`weighbridge.load`: what comes out is what was signed, and everything else is refused with one clear exception."""

import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import weighbridge
from tests.loading.conftest import ARRAYS
from weighbridge.core.errors import InputError, TrustError, UsageError
from weighbridge.core.verdict import Decision
from weighbridge.loading.holder import SMALL
from weighbridge.trust.keyring import from_public_key
from weighbridge.trust.keyring.editing import add_identity, init_keyring


def same(loaded, expected):
    assert set(loaded) == set(expected)
    for name, array in expected.items():
        assert loaded[name].dtype == array.dtype, name
        assert loaded[name].shape == array.shape, name
        assert loaded[name].tobytes() == array.tobytes(), name


def codes(refusal):
    return {row.code for row in refusal.report.evidence if row.code}


def test_tensors_are_those_that_the_library_itself_loads(model, key):
    loaded = weighbridge.load(model, key=key)
    same(loaded, load_file(model / "model.safetensors"))
    assert loaded.report.verdict.decision is Decision.ADMITTED
    assert loaded.info("layer.weight").path == "model.safetensors"
    assert loaded.info("layer.weight").dtype == "F32"
    assert not loaded.info("layer.weight").raw
    assert repr(loaded) == "<5 verified tensors of model>"


def test_arrays_are_views_that_nobody_can_write(model, key):
    array = weighbridge.load(model, key=key)["layer.weight"]
    assert not array.flags.writeable
    assert not array.flags.owndata
    with pytest.raises(ValueError, match=r"read-only|WRITEABLE"):
        array.flags.writeable = True
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 7


@pytest.mark.parametrize("wish", [
    {}, {"hash_type": "blake3"}, {"shard_size": 1024**2}, {"hash_type": "blake3", "shard_size": 1024**2},
], ids=["sha256", "blake3", "sha256 shards", "blake3 shards"])  # fmt: skip
@pytest.mark.parametrize("jobs", [1, 2])
def test_files_of_every_size_by_every_hash(tmp_path, sign, key, wish, jobs):
    folder = tmp_path / "big"
    folder.mkdir()
    random = np.random.default_rng(1)
    arrays = {f"w{i}": random.integers(0, 255, SMALL + 777 * i, dtype=np.uint8) for i in range(3)}
    save_file(arrays, folder / "a.safetensors")
    save_file({"tiny": arrays["w0"][:5]}, folder / "b.safetensors")
    (folder / "README.md").write_text("")
    sign(folder, **wish)
    expected = arrays | {"tiny": arrays["w0"][:5]}
    same(weighbridge.load(folder, key=key, jobs=jobs), expected)
    same(weighbridge.load(folder, key=key, jobs=jobs, share=True), expected)
    data = bytearray((folder / "a.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "a.safetensors").write_bytes(data)
    with pytest.raises(weighbridge.LoadRefused) as refused:
        weighbridge.load(folder, key=key, jobs=jobs)
    assert "contents-differ" in codes(refused.value)


def test_a_wide_file_is_read_ahead_and_hashed_right(tmp_path, sign, key, monkeypatch):
    monkeypatch.setattr("weighbridge.loading.holder.WIDE", 1024)
    folder = tmp_path / "wide"
    folder.mkdir()
    arrays = {"w": np.random.default_rng(2).integers(0, 255, 25 * 1024**2 + 3, dtype=np.uint8)}
    save_file(arrays, folder / "model.safetensors")
    for wish in ({}, {"hash_type": "blake3"}):
        sign(folder, **wish)
        same(weighbridge.load(folder, key=key, jobs=2), arrays)


def test_one_file_and_the_signature_beside_it(tmp_path, sign, key):
    path = tmp_path / "one.safetensors"
    save_file(ARRAYS, path)
    sign(path)
    same(weighbridge.load(path, key=key), ARRAYS)
    same(weighbridge.load(str(path), key=key.read_bytes()), ARRAYS)


def test_the_keyring_and_a_named_signer(model, key, keys, tmp_path):
    trust = tmp_path / "trust"
    init_keyring(trust)
    add_identity(trust, from_public_key(key.read_bytes(), "release@acme.example"))
    same(weighbridge.load(model, trust=trust, by="release@acme.example"), ARRAYS)
    with pytest.raises(weighbridge.LoadRefused):
        weighbridge.load(model, trust=trust, by="somebody.else")
    same(weighbridge.load(model, key=[keys / "other.pub", key]), ARRAYS)


# What is refused


def refusal(*arguments, **words):
    with pytest.raises(weighbridge.LoadRefused) as caught:
        weighbridge.load(*arguments, **words)
    return caught.value


def test_an_unsigned_model_is_refused_unless_the_policy_allows_it(model, key):
    (model / "model.sig").unlink()
    refused = refusal(model, key=key)
    assert codes(refused) == {"no-signature"}
    assert refused.report.verdict.decision is Decision.REFUSED
    same(weighbridge.load(model, policy="research"), ARRAYS)


def test_the_wrong_key(model, keys):
    refused = refusal(model, key=keys / "other.pub")
    assert codes(refused) == {"signer-unknown", "not-signed-by-known"}


def test_nobody_trusted(model):
    assert refusal(model).report.verdict.decision is Decision.UNDECIDED


@pytest.mark.parametrize("change", ["changed", "extra", "missing", "truncated", "link"])
def test_files_that_are_not_what_was_signed(model, key, change, tmp_path):
    weights = model / "model.safetensors"
    data = weights.read_bytes()
    if change == "changed":
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif change == "extra":
        (model / "pytorch_model.bin").write_bytes(b"")
    elif change == "missing":
        (model / "config.json").unlink()
    elif change == "truncated":
        weights.write_bytes(data[:-3])
    else:
        (tmp_path / "elsewhere").write_bytes(data)
        weights.unlink()
        weights.symlink_to(tmp_path / "elsewhere")
    assert "contents-differ" in codes(refusal(model, key=key))


def test_a_link_inside_the_model_stands_for_no_signed_file(model, key):
    (model / "config.json").rename(model / "real.json")
    (model / "config.json").symlink_to("real.json")
    assert codes(refusal(model, key=key)) & {"contents-differ", "link-not-signed"}


def test_harm_is_refused_even_when_it_is_signed(tmp_path, sign, key):
    folder = tmp_path / "harm"
    folder.mkdir()
    save_file(ARRAYS, folder / "model.safetensors")
    (folder / "extra.pkl").write_bytes(
        b"\x80\x02cposix\nsystem\nX\x17\x00\x00\x00echo weighbridge-sampleq\x00\x85R."
    )
    refused = refusal(sign(folder), key=key)
    assert codes(refused) == {"error-finding"}
    assert [finding.rule for finding in refused.report.findings] == ["pickle-unsafe-call"]


def test_a_header_that_lies_about_its_tensors(tmp_path, sign, key):
    path = tmp_path / "lie.safetensors"
    save_file({"w": ARRAYS["layer.weight"]}, path)
    path.write_bytes(path.read_bytes().replace(b"[0,48]", b"[0,99]"))
    refused = refusal(sign(path), key=key)
    assert "error-finding" in codes(refused)


def test_a_file_that_cannot_be_held(model, key, monkeypatch):
    monkeypatch.setattr("weighbridge.loading.holder.WIDE", 1)
    monkeypatch.setattr("weighbridge.loading.holder.available", lambda: 100)
    refused = refusal(model, key=key)
    assert {item.code for item in refused.report.unread} == {"limit-memory"}


def test_a_sparse_file_as_big_as_a_disk(tmp_path, key):
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate(2**43)
    refused = refusal(path, key=key, policy="research")
    assert {item.code for item in refused.report.unread} == {"limit-bytes"}
    assert refused.report.verdict.decision is Decision.UNDECIDED


def test_the_policy_may_bound_what_is_read(tmp_path, model, key):
    policy = tmp_path / "small.toml"
    policy.write_text('[limits]\nmax-bytes = "100"\n')
    assert {item.code for item in refusal(model, key=key, policy=policy).report.unread} == {"limit-bytes"}


# What the exception says


def test_the_text_holds_verdict_reasons_model_and_what_to_do(model, key):
    (model / "extra.bin").write_bytes(b"x")
    refused = refusal(model, key=key)
    text = str(refused)
    assert text.startswith("REFUSED, so nothing was loaded: ")
    assert str(model) in text
    assert "signed: fail, 1 file differs from what was signed: extra extra.bin [contents-differ]" in text
    assert "next: get the model again from its publisher" in text
    assert f"next: weighbridge check {model}" in text
    assert refused.code == "load-refused"
    assert refused.exit_code == 1
    assert isinstance(refused, weighbridge.WeighbridgeError)
    assert refused.reasons[0].startswith("signed: fail")


def test_hostile_names_are_made_visible(tmp_path, key):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a\x1b[2J\u202e.pkl").write_bytes(b"\x80\x02cposix\nsystem\nX\x01\x00\x00\x00aq\x00\x85R.")
    text = str(refusal(folder, key=key, policy="research"))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_mistakes_of_the_caller_are_errors_of_their_own(model, key, tmp_path):
    with pytest.raises(UsageError, match="no-such-path"):
        weighbridge.load(tmp_path / "nothing", key=key)
    with pytest.raises(UsageError, match="no-such-path"):
        weighbridge.load(model, key=tmp_path / "nothing.pub")
    with pytest.raises(TrustError, match="key-"):
        weighbridge.load(model, key=b"no key")
    with pytest.raises(UsageError, match="no-such-policy"):
        weighbridge.load(model, key=key, policy="no-such")
    with pytest.raises(UsageError, match="no-such-path"):
        weighbridge.load(model, trust=tmp_path / "no-trust")
    with pytest.raises(UsageError, match="framework-unknown"):
        weighbridge.load(model, key=key, framework="abacus")


def test_a_policy_inside_the_model_has_no_say(model, key):
    (model / "weighbridge.toml").write_text('[policy]\nsignature = "optional"\n')
    with pytest.raises(UsageError, match="policy-inside-model"):
        weighbridge.load(model, policy=model / "weighbridge.toml")
    os.chdir(model)
    (model / "model.sig").unlink()
    assert "no-signature" in codes(refusal(model, key=key))


# Which tensors


def test_subfolders_stand_before_their_names(tmp_path, sign, key):
    folder = tmp_path / "pipeline"
    for name in ("unet", "vae"):
        (folder / name).mkdir(parents=True)
        save_file({"conv.weight": ARRAYS["layer.weight"] + len(name)}, folder / name / "model.safetensors")
    sign(folder)
    loaded = weighbridge.load(folder, key=key)
    assert set(loaded) == {"unet/conv.weight", "vae/conv.weight"}
    only = weighbridge.load(folder, key=key, files=["unet/*"])
    assert set(only) == {"unet/conv.weight"}


def test_the_same_weights_in_two_formats_are_one(tmp_path, sign, key):
    folder = tmp_path / "two"
    folder.mkdir()
    save_file({"w": ARRAYS["layer.weight"]}, folder / "model.safetensors")
    np.savez(folder / "model.npz", w=ARRAYS["layer.weight"])
    same(weighbridge.load(sign(folder), key=key), {"w": ARRAYS["layer.weight"]})
    np.savez(folder / "model.npz", w=ARRAYS["layer.weight"] + 1)
    sign(folder)
    with pytest.raises(UsageError, match="tensor-ambiguous"):
        weighbridge.load(folder, key=key)
    same(weighbridge.load(folder, key=key, files=["*.npz"]), {"w": ARRAYS["layer.weight"] + 1})


def test_a_model_without_tensors(tmp_path, sign, key):
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "README.md").write_text("nothing here")
    with pytest.raises(InputError, match="no-tensors"):
        weighbridge.load(sign(folder), key=key)


def test_what_was_left_out_says_why(model, key):
    loaded = weighbridge.load(model, key=key)
    with pytest.raises(KeyError, match="nothing"):
        loaded["nothing"]
    assert loaded.left == {}


# How it starts


def test_the_package_imports_nothing_before_it_is_used():
    program = "import sys, weighbridge; print([n for n in sys.modules if n.startswith('weighbridge')], 'numpy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert len(said.split(",")) <= 4
    assert said.strip().endswith("False")
    assert {"load", "share", "guard", "LoadRefused"} <= set(dir(weighbridge))
    with pytest.raises(AttributeError):
        weighbridge.no_such_thing  # noqa: B018
