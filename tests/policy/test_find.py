"""Where a configuration is looked for: upward to .git, and never where the model could have brought it."""

import os
from pathlib import Path

import pytest

from weighbridge.core.errors import UsageError
from weighbridge.policy import find_policy, ignored_policy, load_policy

WEAK = '[policy]\nsignature = "optional"\nfindings = "any"\nunknown = "admit"\n'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """repo/.git, repo/weighbridge.toml, repo/models/m with a weighbridge.toml of its own."""
    root = tmp_path / "repo"
    (root / ".git").mkdir(parents=True)
    (root / "weighbridge.toml").write_text("[policy]\nthreshold = 1\n")
    model = root / "models" / "m"
    model.mkdir(parents=True)
    (model / "weighbridge.toml").write_text(WEAK)
    (model / "model.bin").write_bytes(b"x")
    (model / "deep").mkdir()
    return root


def test_nearest_upward(repository: Path) -> None:
    assert find_policy(repository / "models") == repository / "weighbridge.toml"
    (repository / "models" / "weighbridge.toml").write_text("[policy]\n")
    assert find_policy(repository / "models") == repository / "models" / "weighbridge.toml"


def test_stops_at_git(repository: Path) -> None:
    (repository.parent / "weighbridge.toml").write_text("[policy]\n")
    (repository / "weighbridge.toml").unlink()
    assert find_policy(repository) is None


def test_pyproject_only_with_our_table(repository: Path) -> None:
    (repository / "weighbridge.toml").unlink()
    project = repository / "pyproject.toml"
    project.write_text("[project]\nname = 'x'\n")
    assert find_policy(repository) is None
    project.write_text("[tool.weighbridge.policy]\nthreshold = 1\n")
    assert find_policy(repository) == project
    project.write_text("[tool.weighbridge")
    assert find_policy(repository) is None


@pytest.mark.parametrize("start", [".", "models", "models/m", "models/m/deep"])
def test_never_inside_the_model(repository: Path, start: str) -> None:
    model = repository / "models" / "m"
    assert find_policy(repository / start, model=model) == repository / "weighbridge.toml"
    assert ignored_policy(model) == model / "weighbridge.toml"


def test_a_cloned_model_with_its_own_git_does_not_hide_ours(repository: Path) -> None:
    model = repository / "models" / "m"
    (model / ".git").mkdir()
    assert find_policy(model, model=model) == repository / "weighbridge.toml"


def test_neighbours_of_a_single_file_came_with_it(repository: Path) -> None:
    model = repository / "models" / "m"
    assert find_policy(model, model=model / "model.bin") == repository / "weighbridge.toml"


@pytest.mark.parametrize("given", ["weighbridge.toml", "deep/../weighbridge.toml"])
def test_a_path_inside_the_model_is_refused(repository: Path, given: str) -> None:
    model = repository / "models" / "m"
    with pytest.raises(UsageError) as caught:
        load_policy(model / given, model=model)
    assert caught.value.code == "policy-inside-model"


def test_links_in_and_out_are_refused(repository: Path, tmp_path: Path) -> None:
    model = repository / "models" / "m"
    outside = tmp_path / "weak.toml"
    outside.write_text(WEAK)
    (model / "link.toml").symlink_to(outside)
    (tmp_path / "into.toml").symlink_to(model / "weighbridge.toml")
    (tmp_path / "alias").symlink_to(model)
    for path, root in [
        (model / "link.toml", model),
        (tmp_path / "into.toml", model),
        (tmp_path / "alias" / "weighbridge.toml", model),
        (model / "weighbridge.toml", tmp_path / "alias"),
    ]:
        with pytest.raises(UsageError) as caught:
            load_policy(path, model=root)
        assert caught.value.code == "policy-inside-model"


def test_extending_a_file_inside_the_model_is_refused(repository: Path) -> None:
    model = repository / "models" / "m"
    ours = repository / "weighbridge.toml"
    ours.write_text('[policy]\nextends = "models/m/weighbridge.toml"\n')
    with pytest.raises(UsageError) as caught:
        load_policy(ours, model=model)
    assert caught.value.code == "policy-inside-model"


def test_a_strangers_file_in_a_folder_for_everybody(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_policy(repository) is not None
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if (repository / "weighbridge.toml").stat().st_uid == 0:
        os.chown(repository / "weighbridge.toml", 54321, 54321)
    assert find_policy(repository) is not None
    repository.chmod(0o1777)
    with pytest.raises(UsageError) as caught:
        find_policy(repository)
    assert caught.value.code == "policy-of-stranger"


def test_none_of_several_models_brings_the_policy(repository: Path) -> None:
    ours, theirs = repository / "ours", repository / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
        (folder / "model.bin").touch()
    (repository / "weighbridge.toml").touch()
    (theirs / "weighbridge.toml").touch()
    for models in ((ours, theirs), (ours / "model.bin", theirs / "model.bin"), (theirs, ours)):
        assert find_policy(theirs, model=models) == repository / "weighbridge.toml"
    with pytest.raises(UsageError, match="lies inside the model"):
        load_policy(theirs / "weighbridge.toml", model=(ours, theirs))
