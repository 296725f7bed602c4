"""Each command, called as a person would, with the code it exits with."""

import json
import os
import re
import shutil

import jsonschema
import pytest

from weighbridge import __version__
from weighbridge.cli.app import COMMANDS

from .conftest import safetensors


def test_version_and_help(weighbridge):
    assert weighbridge("--version").out == f"weighbridge {__version__}\n"
    assert weighbridge("version", "-f", "json").json["version"] == __version__
    page = weighbridge("--help")
    assert page.code == 0
    assert all(name in page.out for name in COMMANDS)
    assert weighbridge().code == 2


def test_every_line_of_the_overview_stands_in_one_column(weighbridge):
    page = weighbridge("--help").out.splitlines()
    texts = {" ".join(line.split()): line for line in page}
    for _, arguments, told in COMMANDS.values():
        found = [line for text, line in texts.items() if text.endswith(told)]
        assert [line.index(told) for line in found] == [36], (arguments, told)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples_and_exit_codes(name, weighbridge):
    with pytest.raises(SystemExit) as caught:
        weighbridge(name, "--help")
    assert caught.value.code == 0


def test_a_typo_is_answered_with_the_command_meant(weighbridge):
    answer = weighbridge("vefiry", "x")
    assert answer.code == 2
    assert "did you mean: weighbridge verify" in answer.err
    assert answer.out == ""


def test_an_unknown_option_is_answered_with_the_option_meant(weighbridge):
    answer = weighbridge("check", "x", "--polcy", "strict")
    assert answer.code == 2
    assert "did you mean --policy" in answer.err
    assert "[bad-option]" in answer.err


@pytest.mark.parametrize("command", ["check", "verify", "scan", "inspect", "digest"])
def test_a_path_that_is_not_there_is_a_usage_error_in_every_format(command, weighbridge):
    assert weighbridge(command, "nowhere").code == 2
    answer = weighbridge(command, "nowhere", "--format", "json")
    assert answer.code == 2
    assert answer.json["error"]["code"] == "no-such-path"
    assert answer.json["error"]["exit_code"] == 2
    assert answer.out.endswith("}\n")
    assert not answer.out.endswith("\n\n")


def test_options_can_come_from_the_environment(weighbridge, signed, monkeypatch):
    monkeypatch.setenv("WEIGHBRIDGE_FORMAT", "json")
    assert weighbridge("scan", "model").json["verdict"] == "admitted"
    assert weighbridge("scan", "model", "--format", "human").out.startswith("ADMITTED")


def test_check_admits_what_a_trusted_key_signed(weighbridge, signed):
    answer = weighbridge("check", "model", "--key", "publisher.pub", "--format", "json")
    assert answer.code == 0
    report = answer.json
    jsonschema.validate(report, json.loads((signed_schema()).read_text()))
    assert {row["question"]: row["outcome"] for row in report["evidence"]} == {
        "signed": "pass",
        "intact": "pass",
        "safe": "pass",
        "read": "pass",
    }
    assert {file["outcome"] for file in report["files"]} == {"pass"}
    assert re.fullmatch("sha256:[0-9a-f]{64}", report["subject"]["digests"]["files"])
    assert report["subject"]["digests"]["tensors"]


def signed_schema():
    from pathlib import Path

    return Path(__file__).parents[2] / "schemas" / "report.v1.json"


def test_a_changed_tensor_is_named(weighbridge, signed):
    path = signed / "model" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for command in ("check", "verify"):
        answer = weighbridge(command, "model", "--key", "publisher.pub")
        assert answer.code == 1
        assert "layers.2.weight" in answer.out or "layer 2" in answer.out


def test_verify_names_what_was_added_removed_and_changed(weighbridge, signed):
    (signed / "model" / "extra.txt").write_text("new")
    (signed / "model" / "sub" / "vocab.txt").unlink()
    (signed / "model" / "config.json").write_text("{}")
    answer = weighbridge("verify", "model", "--key", "publisher.pub", "--format", "json")
    assert answer.code == 1
    difference = answer.json["signatures"][0]["difference"]
    assert difference["added"] == ["extra.txt"]
    assert difference["removed"] == ["sub/vocab.txt"]
    assert difference["changed"] == ["config.json"]


def test_unsigned_files_pass_only_when_asked(weighbridge, signed):
    (signed / "model" / "notes.txt").write_text("new")
    assert weighbridge("verify", "model", "--key", "publisher.pub").code == 1
    answer = weighbridge("verify", "model", "--key", "publisher.pub", "--ignore-unsigned")
    assert answer.code == 0
    assert "1 unsigned" in answer.out


def test_another_key_is_refused_and_no_key_is_undecided(weighbridge, signed):
    assert weighbridge("verify", "model", "--key", "stranger.pub").code == 1
    assert weighbridge("verify", "model").code == 3


def test_a_missing_signature_is_refused(weighbridge, signed):
    (signed / "model" / "model.sig").unlink()
    answer = weighbridge("verify", "model", "--key", "publisher.pub", "--format", "json")
    assert answer.code == 1
    assert answer.json["evidence"][0]["outcome"] == "fail"


def test_exit_zero_keeps_the_verdict(weighbridge, signed):
    answer = weighbridge("verify", "model", "--key", "stranger.pub", "--exit-zero", "--format", "json")
    assert answer.code == 0
    assert answer.json["verdict"] == "refused"


def test_sign_leaves_the_signature_where_verify_looks(weighbridge, signed):
    (signed / "one.safetensors").write_bytes(safetensors(w=b"abc"))
    assert weighbridge("sign", "one.safetensors", "--key", "publisher.key").code == 0
    assert (signed / "one.safetensors.sig").is_file()
    assert weighbridge("verify", "one.safetensors", "--key", "publisher.pub").code == 0
    assert weighbridge("sign", "model", "--key", "publisher.key", "--hash", "blake3").code == 0
    assert weighbridge("verify", "model", "--key", "publisher.pub").code == 0
    assert weighbridge("sign", "model", "--key", "publisher.key", "--shard-size", "1M").code == 0
    assert weighbridge("verify", "model", "--key", "publisher.pub").code == 0


def test_hybrid_signing_and_adding_a_second_signer(weighbridge, signed):
    assert weighbridge("key", "new", "pq", "--algorithm", "ml-dsa-65").code == 0
    assert weighbridge("sign", "model", "--key", "publisher.key", "--key", "pq.key").code == 0
    for key in ("publisher.pub", "pq.pub"):
        assert weighbridge("verify", "model", "--key", key).code == 0
    both = ("--key", "publisher.pub", "--key", "pq.pub", "--threshold", "2")
    assert weighbridge("verify", "model", *both).code == 0
    assert weighbridge("sign", "model", "--key", "stranger.key", "--add").code == 0
    assert weighbridge("verify", "model", *both, "--key", "stranger.pub", "--threshold", "3").code == 0


def test_one_key_twice_counts_once(weighbridge, signed):
    assert weighbridge("sign", "model", "--key", "publisher.key", "--add").code == 0
    answer = weighbridge("verify", "model", "--key", "publisher.pub", "--threshold", "2")
    assert answer.code == 1
    assert "threshold" in answer.out or "distinct" in answer.out


def test_a_link_ends_the_signing(weighbridge, signed):
    (signed / "model" / "link.json").symlink_to("config.json")
    answer = weighbridge("sign", "model", "--key", "publisher.key")
    assert answer.code == 2
    assert "[cannot-sign]" in answer.err
    assert weighbridge("sign", "model", "--key", "publisher.key", "--allow-symlinks").code == 0
    assert weighbridge("verify", "model", "--key", "publisher.pub").code == 0


def test_digest_and_diff_follow_the_machine_contract(weighbridge, signed):
    digest = weighbridge("digest", "model", "--blake3", "--format", "json").json
    assert set(digest) >= {"files", "tensors", "card", "members"}
    assert {"path", "size", "sha256", "blake3"} == set(digest["members"][0])
    assert [member["path"] for member in digest["members"]] == [
        "README.md",
        "config.json",
        "model.safetensors",
        "sub/vocab.txt",
    ]
    write = (signed / "model" / "model.safetensors").write_bytes
    weighbridge("version")
    import shutil

    shutil.copytree("model", "new")
    del write
    (signed / "new" / "model.safetensors").write_bytes(safetensors(a=b"1"))
    diff = weighbridge("diff", "model", "new", "--format", "json").json
    assert diff["changed"] == ["model.safetensors"]
    assert diff["tensors"]["added"] == ["a"]
    assert len(diff["tensors"]["removed"]) == 3


def test_inspect_says_what_is_inside(weighbridge, signed):
    found = {file["path"]: file for file in weighbridge("inspect", "model", "-f", "json").json["files"]}
    assert found["model.safetensors"]["tensors"] == 3
    assert found["model.safetensors"]["formats"] == ["safetensors"]


def test_trust_from_nobody_to_revoked(weighbridge, signed):
    assert weighbridge("trust", "show").code == 2
    assert weighbridge("trust", "init").code == 0
    assert weighbridge("verify", "model").code == 3
    assert (
        weighbridge(
            "trust", "add", "release@acme.example", "--key", "publisher.pub", "--role", "publisher"
        ).code
        == 0
    )
    answer = weighbridge("verify", "model", "--by", "release@acme.example")
    assert answer.code == 0
    assert "release@acme.example" in answer.out
    assert weighbridge("verify", "model", "--by", "someone@else.example").code == 1
    assert weighbridge("trust", "revoke", "release@acme.example", "--reason", "stolen").code == 0
    answer = weighbridge("verify", "model")
    assert answer.code == 1
    assert "revoked" in answer.out
    assert weighbridge("trust", "show", "-f", "json").json["identities"][0]["state"] == "revoked"


def test_key_new_show_and_rotate(weighbridge, signed):
    made = weighbridge("key", "new", "mine", "--format", "json").json
    assert weighbridge("key", "show", "mine.pub", "-f", "json").json["fingerprint"] == made["fingerprint"]
    assert weighbridge("key", "new", "mine").code == 2
    assert (signed / "mine.key").stat().st_mode & 0o777 == 0o600
    weighbridge("trust", "init")
    weighbridge("trust", "add", "me", "--key", "mine.pub")
    assert weighbridge("key", "rotate", "me", "--new", "next").code == 0
    states = [row["state"] for row in weighbridge("trust", "show", "-f", "json").json["identities"]]
    assert sorted(states) == ["expired", "good"]


def test_policy_check_explain_and_init(weighbridge, signed):
    assert weighbridge("init", ".", "--preset", "production").code == 0
    assert (signed / ".pre-commit-config.yaml").is_file()
    assert "kept" in weighbridge("init", ".").out
    assert weighbridge("policy", "check").code == 0
    assert "weighbridge.toml" not in weighbridge("policy", "explain", "--policy", "strict").out
    lines = weighbridge("policy", "explain", "-f", "json").json["lines"]
    assert all(line["source"] for line in lines)
    (signed / "weighbridge.toml").write_text('[policy]\nsignatur = "required"\n')
    answer = weighbridge("policy", "check")
    assert answer.code == 2
    assert "signature" in answer.err


def test_a_policy_inside_the_model_is_never_read(weighbridge, signed):
    (signed / "model" / "weighbridge.toml").write_text(
        '[policy]\nsignature = "optional"\nunknown = "admit"\n'
    )
    answer = weighbridge("check", "model", "--key", "publisher.pub", "-f", "json")
    assert answer.code == 1
    assert answer.json["policy"]["name"] == "default"
    assert weighbridge("check", "model", "--policy", "model/weighbridge.toml").code == 2


def test_none_of_several_models_brings_the_policy(weighbridge, signed, monkeypatch):
    bad = signed / "bad"
    bad.mkdir()
    (bad / "weights.bin").write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00echoq\x00\x85R.")
    (bad / "weighbridge.toml").write_text('[policy]\nfindings = "any"\nunknown = "admit"\n')
    monkeypatch.chdir(bad)
    for paths in ((".",), ("../model", "."), (".", "../model")):
        answer = weighbridge("scan", *paths)
        assert answer.code == 1, paths
        assert "came with the model and is not read" in answer.err
    assert weighbridge("scan", "../model", ".", "--policy", "weighbridge.toml").code == 2


def test_a_saved_report_is_rendered_again_with_its_own_code(weighbridge, signed):
    assert weighbridge("check", "model", "--key", "stranger.pub", "-f", "json", "-o", "report.json").code == 1
    answer = weighbridge("report", "report.json", "--format", "markdown")
    assert answer.code == 1
    assert "REFUSED" in answer.out
    (signed / "report.json").write_text("{}")
    assert weighbridge("report", "report.json").code == 2


def test_several_models_in_one_scan(weighbridge, signed):
    (signed / "a.bin").write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00echo\x85R.")
    answer = weighbridge("scan", "model", "a.bin", "-f", "json")
    assert answer.code == 1
    paths = {file["path"]: file["outcome"] for file in answer.json["files"]}
    assert paths["a.bin"] == "fail"
    assert paths["model/config.json"] == "pass"


def test_the_verdict_as_a_signed_statement(weighbridge, signed):
    answer = weighbridge(
        "check",
        "model",
        "--key",
        "publisher.pub",
        "--attest",
        "verdict.jsonl",
        "--attest-key",
        "stranger.key",
        "-q",
    )
    assert answer.code == 0
    import base64

    bundle = json.loads((signed / "verdict.jsonl").read_text())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["predicate"]["verdict"] == "admitted"

    # The next gate trusts the first one's key instead of the publisher's.
    (signed / "model" / "model.sig").unlink()
    by_gate = ("verify", "model", "--signature", "verdict.jsonl", "--key")
    assert weighbridge(*by_gate, "stranger.pub").code == 0
    assert weighbridge(*by_gate, "publisher.pub").code == 1
    (signed / "model" / "config.json").write_text("{}")
    answer = weighbridge(*by_gate, "stranger.pub")
    assert answer.code == 1
    assert "the gate weighed other files" in answer.out


def test_a_verdict_that_did_not_admit_vouches_for_nothing(weighbridge, signed):
    (signed / "model" / "a.bin").write_bytes(b"\x00unknown")
    attest = ("--attest", "verdict.jsonl", "--attest-key", "stranger.key")
    assert weighbridge("check", "model", "--key", "stranger.pub", *attest).code == 1
    answer = weighbridge(
        "verify", "model", "--signature", "verdict.jsonl", "--key", "stranger.pub", "-f", "json"
    )
    assert answer.code == 1
    assert "verdict-not-admitted" in {row["code"] for row in answer.json["signatures"]}


def test_rule_explain_doctor_and_completion(weighbridge):
    assert weighbridge("rule").code == 0
    assert weighbridge("rule", "pickle-unsafe-call").code == 0
    assert weighbridge("rule", "pickle-unsafe-cal").code == 2
    assert weighbridge("explain", "no-signature").code == 0
    assert weighbridge("explain", "pickle-unsafe-call").code == 0
    assert weighbridge("doctor").code == 0
    for shell in ("bash", "zsh"):
        answer = weighbridge("completion", shell)
        assert answer.code == 0
        assert "weighbridge" in answer.out


def test_fail_fast_stops_at_the_first_file_that_differs(weighbridge, signed):
    (signed / "model" / "README.md").write_text("changed")
    (signed / "model" / "sub" / "vocab.txt").write_text("changed")
    fast = ("verify", "model", "--fail-fast", "-f", "json", "--key")
    answer = weighbridge(*fast, "publisher.pub")
    assert answer.code == 1
    assert len(answer.json["signatures"][0]["difference"]["changed"]) == 1
    answer = weighbridge(*fast, "stranger.pub")
    assert answer.json["signatures"][0]["code"] == "signer-unknown"
    assert weighbridge("verify", "model", "--key", "publisher.pub", "-f", "json").json["signatures"][0][
        "difference"
    ]["changed"] == ["README.md", "sub/vocab.txt"]


def test_a_signed_snapshot_of_the_hub_cache_verifies(weighbridge, signed):
    """The hub's client keeps every file as a link to a blob, and a signer signed plain files."""
    cache = signed / "models--acme--tiny"
    snapshot = cache / "snapshots" / "0123"
    (cache / "blobs").mkdir(parents=True)
    files = [path for path in sorted((signed / "model").rglob("*")) if path.is_file()]
    for number, file in enumerate(files):
        place = snapshot / file.relative_to(signed / "model")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, cache / "blobs" / str(number))
        place.symlink_to(os.path.relpath(cache / "blobs" / str(number), place.parent))
    for command in ("verify", "check"):
        assert weighbridge(command, snapshot, "--key", "publisher.pub").code == 0
    shutil.move(cache, signed / "elsewhere")
    answer = weighbridge("verify", "elsewhere/snapshots/0123", "--key", "publisher.pub")
    assert answer.code == 1


def test_links_in_a_plain_folder_are_not_what_was_signed(weighbridge, signed):
    (signed / "model" / "real.json").write_bytes((signed / "model" / "config.json").read_bytes())
    (signed / "model" / "config.json").unlink()
    (signed / "model" / "config.json").symlink_to("real.json")
    answer = weighbridge("verify", "model", "--key", "publisher.pub", "--ignore-unsigned", "-f", "json")
    assert answer.code == 1
    assert answer.json["signatures"][0]["code"] == "link-not-signed"
