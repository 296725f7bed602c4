"""Downloads from the Hub: weighed in quarantine, put in place only when they are admitted."""

import shutil

import pytest
from huggingface_hub import hf_hub_download, snapshot_download

import weighbridge
from tests.integrations.hubserver import COMMIT, serving

NAME = "acme/chat"


@pytest.fixture
def hub(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with serving() as hub:
        hub.publish(NAME, model)
        yield hub


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def get(hub, cache):
    def one(filename, **words):
        words.setdefault("cache_dir", cache)
        return hf_hub_download(NAME, filename, endpoint=hub.url, token=False, **words)

    return one


@pytest.fixture
def get_all(hub, cache):
    def everything(**words):
        words.setdefault("cache_dir", cache)
        return snapshot_download(NAME, endpoint=hub.url, token=False, **words)

    return everything


def left_behind(folder):
    return [path.name for path in folder.rglob("*") if "quarantine" in path.name]


def snapshot(cache):
    return cache / "models--acme--chat" / "snapshots" / COMMIT


def test_a_signed_file_comes_with_its_signature(get, cache, key, model, hub):
    with weighbridge.guard(key=key) as guard:
        path = get("model.safetensors")
        assert guard.weighed == 1
    assert path == str(snapshot(cache) / "model.safetensors")
    assert (snapshot(cache) / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert (snapshot(cache) / "model.sig").exists()
    assert left_behind(cache) == []
    assert hub.fetched == ["model.safetensors", "model.sig"]


def test_what_is_there_is_not_fetched_again(get, cache, key, hub):
    with weighbridge.guard(key=key):
        get("model.safetensors")
        get("config.json")
        get("model.safetensors")
    assert sorted(hub.fetched) == ["config.json", "model.safetensors", "model.sig"]
    with weighbridge.guard(key=key):
        assert get("config.json", local_files_only=True) == str(snapshot(cache) / "config.json")
    get("config.json")  # the cache that a guard filled is one that the library understands
    assert len(hub.fetched) == 3


@pytest.mark.parametrize("how", ["changed", "unsigned", "extra", "other key"])
def test_what_is_refused_never_was_in_the_cache(get, get_all, cache, key, keys, hub, how):
    files = hub.repositories[NAME]
    wanted = "config.json"
    if how == "changed":
        files["config.json"] = b'{"hidden_size": 5}'
    elif how == "unsigned":
        del files["model.sig"]
    elif how == "extra":
        files["new.json"] = b"{}"
        wanted = "new.json"
    trusted = keys / "other.pub" if how == "other key" else key
    with weighbridge.guard(key=trusted):
        for call in (lambda: get(wanted), get_all):
            with pytest.raises(weighbridge.LoadRefused):
                call()
    assert not snapshot(cache).exists()
    assert list(cache.iterdir()) == []


def test_a_harmful_file_of_an_unsigned_repository(get, cache, hub, harmful, trace):
    hub.repositories[NAME] = {"pytorch_model.bin": harmful, "config.json": b"{}"}
    with weighbridge.guard(policy="research"):
        assert get("config.json").endswith("config.json")
        with pytest.raises(weighbridge.LoadRefused, match="pickle-unsafe-call"):
            get("pytorch_model.bin")
    assert not (snapshot(cache) / "pytorch_model.bin").exists()


def test_a_whole_repository(get_all, cache, key, model):
    with weighbridge.guard(key=key):
        assert get_all() == str(snapshot(cache))
    found = sorted(path.name for path in snapshot(cache).iterdir())
    assert found == ["config.json", "model.safetensors", "model.sig"]
    assert left_behind(cache) == []


def test_a_repository_from_which_a_signed_file_is_gone(get_all, key, hub):
    del hub.repositories[NAME]["config.json"]
    with weighbridge.guard(key=key), pytest.raises(weighbridge.LoadRefused, match="1 missing"):
        get_all()


def test_a_part_of_a_repository_misses_nothing(get_all, cache, key):
    with weighbridge.guard(key=key):
        get_all(allow_patterns="*.safetensors")
    assert sorted(path.name for path in snapshot(cache).iterdir()) == ["model.safetensors", "model.sig"]


def test_into_a_folder_of_one_s_own(get, get_all, key, tmp_path, model, hub):
    folder = tmp_path / "here"
    with weighbridge.guard(key=key):
        assert get("config.json", local_dir=folder) == str(folder / "config.json")
        assert get_all(local_dir=folder) == str(folder)
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "model.sig"}
    assert not any(path.is_symlink() for path in folder.iterdir())
    shutil.rmtree(folder)
    hub.repositories[NAME]["config.json"] = b"{ }"
    with weighbridge.guard(key=key), pytest.raises(weighbridge.LoadRefused):
        get("config.json", local_dir=folder, force_download=True)
    assert not folder.exists()


def test_that_the_hub_cannot_be_asked_for_the_signature_is_no_absence(get, cache, hub):
    hub.broken.add("model.sig")
    with weighbridge.guard(policy="research"), pytest.raises(Exception, match=r"403|Hub|internet"):
        get("config.json")
    assert not snapshot(cache).exists()


def test_a_file_that_there_is_not_stays_the_library_s_own_error(get, key):
    from huggingface_hub.errors import EntryNotFoundError

    with weighbridge.guard(key=key), pytest.raises(EntryNotFoundError):
        get("nothing.json")


def test_without_a_guard_nothing_is_weighed(get, cache, hub):
    hub.repositories[NAME]["config.json"] = b"anything"
    assert get("config.json") == str(snapshot(cache) / "config.json")
