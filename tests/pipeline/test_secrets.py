"""Secrets of many kinds, on the command line, in the environment, in the remote's address: never in any file or answer."""

import random
import string
import sys

import pytest

from tests.pipeline.conftest import git, statements
from weighbridge.pipeline import redact

RANDOM = random.Random(20261123)


def mixed(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choice(letters) for _ in range(length))


HEX, UPPER = "0123456789abcdef", string.ascii_uppercase + "234567"
TOKENS = {
    "github": "ghp_" + mixed(36),
    "github-fine": "github_pat_" + mixed(22) + "_" + mixed(59),
    "gitlab": "glpat-" + mixed(20),
    "hugging-face": "hf_" + mixed(34),
    "openai": "sk-proj-" + mixed(40),
    "anthropic": "sk-ant-api03-" + mixed(93),
    "aws-id": "AKIA" + mixed(16, UPPER),
    "aws-secret": mixed(40, string.ascii_letters + string.digits + "/+"),
    "google": "AIza" + mixed(35),
    "slack": "xoxb-1234567890-" + mixed(24),
    "stripe": "sk_live_" + mixed(24),
    "npm": "npm_" + mixed(36),
    "pypi": "pypi-AgEI" + mixed(70),
    "wandb": mixed(40, HEX),
    "uuid": f"{mixed(8, HEX)}-{mixed(4, HEX)}-{mixed(4, HEX)}-{mixed(4, HEX)}-{mixed(12, HEX)}",
    "jwt": f"eyJ{mixed(30)}.eyJ{mixed(60)}.{mixed(43)}",
    "sendgrid": f"SG.{mixed(22)}.{mixed(43)}",
    "telegram": f"123456789:AA{mixed(33)}",
    "databricks": "dapi" + mixed(32, HEX),
    "base64": mixed(43) + "=",
    "base64url": mixed(20) + "-" + mixed(22),
    "vault": "hvs." + mixed(24),
    "docker": "dckr_pat_" + mixed(27),
    "azure": mixed(86, string.ascii_letters + string.digits + "+/") + "==",
}
PLAIN = "hunter2-correct"
"""What nobody can tell from a word, but by where it stands."""
PLACES = {
    "option-next": ["--password", PLAIN],
    "option-equals": [f"--hf-token={PLAIN}"],
    "camel": ["--apiKey", PLAIN],
    "underscore": ["--wandb_api_key", PLAIN],
    "dashed": ["--client-secret", f"-{PLAIN}"],
    "hydra": [f"model.hub.token={PLAIN}"],
    "hydra-plus": [f"+db.password={PLAIN}"],
    "variable": ["env", f"WANDB_API_KEY={PLAIN}"],
    "json": [f'{{"user": "x", "password": "{PLAIN}"}}'],
    "yaml": [f"secret: {PLAIN}"],
    "python": [f"{{'api_key': '{PLAIN}'}}"],
    "url-user": [f"https://me:{PLAIN}@example.com/x.git"],
    "url-token": [f"https://{PLAIN}@example.com/x.git"],
    "url-option": [f"--index-url=https://me:{PLAIN}@example.com/simple"],
    "url-query": [f"https://example.com/x?a=1&token={PLAIN}&b=2"],
    "url-signed": [f"https://x.blob.core.windows.net/a?sv=2024&sig={PLAIN}"],
    "database": [f"postgresql://me:{PLAIN}@db.example.com/x"],
    "header": ["-H", f"Authorization: Bearer {PLAIN}"],
    "header-long": [f"--header=X-Api-Key: {PLAIN}"],
    "cookie": ["--header", f"Cookie: session={PLAIN}"],
    "curl-user": ["curl", "-u", f"me:{PLAIN}"],
    "connection": [f"Server=tcp:x;Database=y;Uid=z;Pwd={PLAIN};Encrypt=yes"],
    "passphrase": ["--key-passphrase", PLAIN],
    "pem": [f"-----BEGIN RSA PRIVATE KEY-----\n{PLAIN}\n-----END RSA PRIVATE KEY-----"],
    "basic": [f"Basic {PLAIN}AAAA"],
    "shell": ["sh", "-c", f"export DB_PASSWORD={PLAIN}; true"],
}


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("form", ["{}", "--x={}", "a/{}/b", "text with {} inside", "'{}'", "x:{}"])
def test_a_token_is_taken_out_wherever_it_stands(kind: str, form: str) -> None:
    said = " ".join(redact.command(["python", "train.py", form.format(TOKENS[kind])]))
    assert TOKENS[kind] not in said
    assert redact.REDACTED in said


@pytest.mark.parametrize("place", PLACES)
def test_a_value_behind_a_telling_name_is_taken_out(place: str) -> None:
    said = " ".join(redact.command(["python", *PLACES[place]]))
    assert PLAIN not in said
    assert redact.REDACTED in said


ORDINARY = [
    "--learning-rate=3e-4", "--epochs", "10", "--model", "meta-llama/Meta-Llama-3-8B-Instruct", "train.py", "../data/rows.csv",
    "--max-tokens=512", "--max_new_tokens", "128", "--seed", "7", "--output_dir=/home/user/checkpoints/run-2026-11-20-14-02",
    "--pad-token-id", "0", "sha256:" + "ab12" * 16, "--revision", "8b1a9953c4611296a827abf8c47804d7e6c49c6b", "lora_r=16",
    "--per_device_train_batch_size", "4", "--bf16", "gpt2-medium", "--primary-key", "id", "distilbert-base-uncased-finetuned-sst-2-english",
    "--tokenizer=bert-base-multilingual-cased", "torch.distributed.run", "--nproc_per_node=8", "optimizer.name=adamw_torch_fused",
]  # fmt: skip


def test_ordinary_commands_stay_as_they_are() -> None:
    assert redact.command(ORDINARY) == tuple(ORDINARY)


def test_long_and_odd_arguments() -> None:
    assert redact.command(["x" * 100_000]) == ("‹100000 characters›",)
    assert redact.command(["\udcff"])[0].encode()
    assert len(redact.command(["a-" * 4000, "(" * 8000, "://" * 2500, "key=" * 2000])) == 4


def test_no_secret_reaches_any_file_or_answer(weighbridge, team, project, tmp_path, monkeypatch):
    secrets = [*TOKENS.values(), PLAIN]
    for number, secret in enumerate(TOKENS.values()):
        monkeypatch.setenv(f"SOME_VARIABLE_{number}", secret)
    git(project, "remote", "add", "origin", f"https://me:{PLAIN}@example.com/x.git")
    words = [*TOKENS.values(), *(word for place in PLACES.values() for word in place)]
    script = "import os; os.makedirs('../out'); open('../out/x','w').write('x')"
    (project / "quiet.py").write_text(script)
    answer = weighbridge(
        "run", "--name", "train", "--materials", "../data", "--products", "../out", "--key", team.key("ben"),
        "--host", "os,cpu,gpu", "--format", "json", "--", sys.executable, "quiet.py", *words,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    left = tmp_path / "out.attestations.jsonl"
    said = str(statements(left)) + left.read_text() + answer.out + answer.err
    assert [secret for secret in secrets if secret in said] == []
    assert "https://‹redacted›@example.com/x.git" in str(statements(left))


@pytest.mark.parametrize(
    ("name", "value"),
    [("HF_TOKEN", "x"), ("DB_PASSWORD", "x"), ("HARMLESS", TOKENS["github"]), ("HARMLESS", TOKENS["wandb"]),
     ("URL", f"https://a:{PLAIN}@example.com")],
)  # fmt: skip
def test_a_variable_that_looks_like_a_secret_is_refused(
    weighbridge, team, project, tmp_path, monkeypatch, name, value
):
    monkeypatch.setenv(name, value)
    answer = weighbridge(
        "run", "--name", "train", "--materials", "../data", "--products", "../out", "--key", team.key("ben"),
        "--env", name, "--format", "json", "--", sys.executable, "-c", "open('../ran','w')",
    )  # fmt: skip
    assert (answer.code, answer.json["error"]["code"]) == (2, "setting-secret")
    assert value not in answer.out or value == "x"
    assert not (tmp_path / "ran").exists()


def test_a_harmless_variable_is_written_down(weighbridge, team, project, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    answer = weighbridge(
        "run", "--name", "train", "--materials", "../data", "--products", "../out", "--key", team.key("ben"),
        "--env", "CUDA_VISIBLE_DEVICES", "--", sys.executable, "train.py", "../data", "../out",
    )  # fmt: skip
    assert answer.code == 0
    said = statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]
    assert said["parameters"] == {"env.CUDA_VISIBLE_DEVICES": "0,1"}
