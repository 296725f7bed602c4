"""Policies from files and presets: layers, names, digests, sources of lines, and what is asked."""

import re
from datetime import date
from pathlib import Path

import pytest

from weighbridge.core.budget import Limits
from weighbridge.core.errors import BrokenError, UsageError
from weighbridge.policy import PRESETS, Policy, load_policy, load_preset, presets
from weighbridge.policy.words import Findings, Need, Unknown


def written(folder: Path, text: str, name: str = "weighbridge.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def lines(policy: Policy) -> dict[str, tuple[str, str]]:
    return {f"{line.table}.{line.key}": (line.value, line.source) for line in policy.lines}


def test_default_preset_is_the_default_of_the_dataclass() -> None:
    policy = load_preset()
    assert policy.meaning == Policy(name="default").meaning
    assert policy.digest == Policy(name="other name").digest
    assert policy.questions == ("signed", "intact", "safe", "read")
    assert (policy.name, policy.sources) == ("default", ("preset default",))


@pytest.mark.parametrize("name", presets())
def test_presets_load_and_say_their_own_name(name: str) -> None:
    policy = load_preset(name)
    assert policy.name == name
    assert policy.questions[:2] == ("signed", "intact")
    assert load_policy(name) == policy
    assert PRESETS[name]
    assert policy.sources[-1] == f"preset {name}"


def test_presets_differ_in_what_they_decide() -> None:
    assert len({load_preset(name).digest for name in presets()}) == len(presets())
    assert load_preset("strict").findings is Findings.NO_WARNINGS
    assert load_preset("strict").unknown_for("read") is Unknown.REFUSE
    assert load_preset("production").unknown_for("signed") is Unknown.REFUSE
    assert load_preset("production").unknown_for("read") is Unknown.UNDECIDED
    assert load_preset("research").signature is Need.OPTIONAL


def test_unknown_preset() -> None:
    with pytest.raises(UsageError) as caught:
        load_preset("prodution")
    assert (caught.value.code, caught.value.hints) == ("no-such-preset", ('did you mean "production"?',))


def test_file_over_preset(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [policy]
        extends = "production"
        signers = ["release@acme.example"]
        log = "required"
        trace = ["build"]
        unknown = { data = "admit" }
        valid-until = 2027-01-31
        [trust]
        dir = "keys"
        [limits]
        max-bytes = "1G"
        timeout = 60
        [output]
        format = "json"
        """,
    )
    policy = load_policy(path)
    assert policy.name == "production"
    assert policy.sources == ("preset default", "preset production", str(path))
    assert policy.signers == ("release@acme.example",)
    assert policy.valid_until == date(2027, 1, 31)
    assert policy.questions == ("signed", "intact", "safe", "read", "logged", "traced", "policy")
    assert [policy.unknown_for(q) for q in ("data", "signed", "safe")] == ["admit", "refuse", "undecided"]
    assert policy.settings.trust_dir == str(tmp_path / "keys")
    assert policy.settings.limits == Limits(bytes=1024**3, seconds=60)
    assert policy.settings.format == "json"
    told = lines(policy)
    assert told["policy.signers"] == ('["release@acme.example"]', str(path))
    assert told["policy.signature"] == ('"required"', "preset production")
    assert told["policy.threshold"] == ("1", "preset default")
    assert told["policy.unknown.data"] == ('"admit"', str(path))
    assert told["policy.unknown.signed"] == ('"refuse"', "preset production")
    assert told["limits.max-bytes"] == ("1073741824", str(path))
    tables = [line.table for line in policy.lines]
    assert tables == sorted(tables, key=["policy", "trust", "scan", "limits", "output"].index)


def test_a_plain_unknown_clears_the_lines_below(tmp_path: Path) -> None:
    path = written(tmp_path, '[policy]\nextends = "production"\nunknown = "admit"')
    told = lines(load_policy(path))
    assert {key: value for key, value in told.items() if "unknown" in key} == {
        "policy.unknown.default": ('"admit"', str(path))
    }
    assert load_policy(path).unknown_for("signed") is Unknown.ADMIT


def test_extends_a_file(tmp_path: Path) -> None:
    base = written(
        tmp_path, '[policy]\nname = "house"\nthreshold = 2\nsigners = ["a", "b"]', "house/base.toml"
    )
    path = written(tmp_path, '[policy]\nextends = "house/base.toml"\nfindings = "no warnings"')
    policy = load_policy(path)
    assert (policy.name, policy.threshold, policy.findings) == ("house", 2, Findings.NO_WARNINGS)
    assert policy.sources == ("preset default", str(base), str(path))


def test_extends_itself(tmp_path: Path) -> None:
    path = written(tmp_path, '[policy]\nextends = "weighbridge.toml"')
    with pytest.raises(UsageError) as caught:
        load_policy(path)
    assert caught.value.code == "policy-loop"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[policy]\nextends = "nothing.toml"', "no-such-policy"),
        ('[policy]\nextends = "strikt"', "no-such-preset"),
        ('[policy]\nsigners = ["a"]\nthreshold = 2', "threshold-unreachable"),
    ],
)
def test_what_cannot_work(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_policy(written(tmp_path, text))
    assert caught.value.code == code


def test_paths_that_are_no_policy(tmp_path: Path) -> None:
    for path in (tmp_path / "no.toml", tmp_path, Path("/dev/null"), tmp_path / "a\0b"):
        with pytest.raises(UsageError) as caught:
            load_policy(path)
        assert caught.value.code == "no-such-policy"
    project = written(tmp_path, "[tool.other]\nx = 1", "pyproject.toml")
    with pytest.raises(UsageError) as caught:
        load_policy(project)
    assert caught.value.code == "no-such-policy"


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "[policy]")

    def refuse(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BrokenError) as caught:
        load_policy(path)
    assert caught.value.code == "unreadable"


def test_pyproject(tmp_path: Path) -> None:
    path = written(
        tmp_path, "[tool.weighbridge.policy]\nthreshold = 3\n[tool.other]\nx = 1", "pyproject.toml"
    )
    assert load_policy(path).threshold == 3


def test_the_digest_is_of_the_meaning(tmp_path: Path) -> None:
    one = load_policy(written(tmp_path, '[policy]\nthreshold = 2\nsigners = ["b", "a"] # two', "one.toml"))
    two = load_policy(
        written(tmp_path, '[policy]\nname = "x"\nsigners = ["a", "b"]\nthreshold = 2', "two.toml")
    )
    other = load_policy(written(tmp_path, '[policy]\nthreshold = 2\nsigners = ["c", "a"]', "three.toml"))
    assert one.digest == two.digest != other.digest
    assert re.fullmatch("sha256:[0-9a-f]{64}", one.digest)
    suppressing = written(
        tmp_path, '[[scan.suppress]]\nrule="a"\npath="*"\nreason="r"\nuntil=2027-01-01', "four.toml"
    )
    assert load_policy(suppressing).digest != load_preset().digest


def test_the_digest_of_the_default_is_fixed() -> None:
    """Reports and statements carry it: a change here changes the meaning of every policy, and must be meant."""
    assert load_preset().digest == "sha256:dcc4979358351a04e3ff41d4eea56cb9ffd0b734711663668d110bd754740136"


def test_override() -> None:
    policy = load_preset().override("--by", signers=("me@example.org",))
    assert policy.signers == ("me@example.org",)
    assert lines(policy)["policy.signers"] == ('["me@example.org"]', "--by")
    assert policy.digest != load_preset().digest
    assert [line.key for line in policy.lines].count("signers") == 1


def test_what_a_command_asks() -> None:
    policy = load_preset()
    assert policy.questions_of("verify") == ("signed", "intact")
    assert policy.questions_of("scan") == ("safe", "read")
    assert policy.questions_of("check") == policy.questions
    mute = load_preset().override("x", findings=Findings.ANY)
    assert mute.questions == ("signed", "intact", "read")


def test_the_default_policy_is_the_preset_without_its_lines() -> None:
    from dataclasses import replace

    from weighbridge.policy import default_policy, load_preset

    assert default_policy() == replace(load_preset("default"), lines=())
    assert default_policy().digest == load_preset("default").digest
