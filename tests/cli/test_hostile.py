"""Hostile models, careless callers and broken machines, through the program itself: a code each, and never a traceback.

Every run has ten seconds and 300 MB of data.
"""

import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c", "from weighbridge.cli.app import main; main()"]
SECONDS = 10
DATA = 300 * 1024**2
HARMFUL = b"\x80\x02cposix\nsystem\nX\x10\x00\x00\x00echo weighbridgeq\x00\x85R."
FORMATS = ("human", "json", "sarif", "html", "markdown", "junit", "github", "gitlab")


def limited(file_size: int | None = None) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (DATA, DATA))
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    return limit


def start(*arguments: object, file_size: int | None = None, **settings) -> subprocess.Popen:
    environment = os.environ | settings.pop("env", {})
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=settings.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        env=environment,
        preexec_fn=limited(file_size),
        **settings,
    )


def program(*arguments: object, **settings) -> subprocess.CompletedProcess:
    process = start(*arguments, **settings)
    out, err = process.communicate(timeout=SECONDS)
    assert b"Traceback" not in err, err.decode()
    assert b"internal-error" not in err + (out or b"")
    return subprocess.CompletedProcess(arguments, process.returncode, out, err.decode())


def unread(answer: subprocess.CompletedProcess) -> dict[str, str]:
    return {row["path"]: row["code"] for row in json.loads(answer.stdout)["unread"]}


def listed(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))


MODEL = {"README.md", "config.json", "sub/vocab.txt", "model.safetensors"}


# What stands where a model should.


@pytest.mark.parametrize("command", ["scan", "verify", "digest", "inspect"])
@pytest.mark.parametrize("kind", ["device", "fifo", "socket"])
def test_what_is_no_file_is_no_model(command, kind, tmp_path):
    path = Path("/dev/zero") if kind == "device" else tmp_path / kind
    if kind == "fifo":
        os.mkfifo(path)
    if kind == "socket":
        make_socket(path)
    answer = program(command, path)
    assert answer.returncode == 2
    assert "[not-a-file]" in answer.stderr


def test_pipes_sockets_and_links_in_a_folder_are_named_and_not_opened(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    make_socket(folder / "sock")
    links = {
        "self": ".",
        "loop": "loop",
        "a": "b",
        "b": "a",
        "out": "/etc/passwd",
        "zero": "/dev/zero",
        "gone": "x",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    answer = program("scan", folder, "-f", "json")
    assert answer.returncode == 3
    assert unread(answer) == {
        "fifo": "not-a-file",
        "sock": "not-a-file",
        "self": "link-cycle",
        "loop": "link-cycle",
        "a": "link-cycle",
        "b": "link-cycle",
        "out": "link-outside",
        "zero": "link-outside",
        "gone": "link-broken",
    }


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no /proc here")
def test_a_file_whose_bytes_cannot_be_read_is_unknown():
    answer = program("scan", "/proc/self/mem", "-f", "json")
    assert answer.returncode == 3
    assert unread(answer) == {"mem": "unreadable"}


@pytest.mark.parametrize("command", ["scan", "digest", "inspect"])
def test_an_empty_folder_is_not_good(command, tmp_path):
    assert program(command, tmp_path).returncode == 3


@pytest.fixture
def nested(tmp_path):
    """Makes folders one inside the other, with a file in the last; they are too deep for pytest to remove."""
    top = tmp_path / "nested"

    def make(name: str, levels: int) -> Path:
        top.mkdir()
        here = os.open(top, os.O_RDONLY)
        for _ in range(levels):
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("x.txt", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.close(here)
        return top

    yield make
    subprocess.run(["rm", "-rf", str(top)], check=True)


def test_a_thousand_levels_of_folders_are_listed(nested):
    answer = program("digest", nested("d", 1000), "-f", "json")
    assert answer.returncode == 0
    assert [row["path"] for row in json.loads(answer.stdout)["members"]] == ["d/" * 1000 + "x.txt"]


def test_folders_deeper_than_any_path_may_be_are_unread(nested):
    answer = program("scan", nested("d" * 200, 30), "-f", "json")
    assert answer.returncode == 3
    assert set(unread(answer).values()) == {"unreadable"}


# What is in files.


def test_time_is_bounded_also_where_bytes_only_are_hashed(tmp_path):
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(100 * 1024**3)
    started = time.monotonic()
    answer = program("digest", tmp_path, "--timeout", "0.3", "-f", "json")
    assert time.monotonic() - started < 5
    assert answer.returncode == 3
    assert [row["code"] for row in json.loads(answer.stdout)["unread"]] == ["limit-seconds"]


def test_sizes_that_headers_declare_are_not_believed(tmp_path):
    huge = (10 * 1024**3).to_bytes(8, "little")
    (tmp_path / "a.safetensors").write_bytes(huge + b"{}")
    (tmp_path / "b.gguf").write_bytes(b"GGUF\x03\0\0\0" + huge + huge)
    (tmp_path / "c.npy").write_bytes(b"\x93NUMPY\x02\0\xff\xff\xff\xff{}")
    (tmp_path / "d.pkl").write_bytes(b"\x80\x04\x95" + huge + b"\x8e" + huge)
    answer = program("scan", tmp_path, "-f", "json")
    assert answer.returncode in (1, 3)
    assert {file["outcome"] for file in json.loads(answer.stdout)["files"]} <= {"fail", "unknown"}


def test_deep_json_and_double_keys_do_not_pass(tmp_path):
    (tmp_path / "config.json").write_text("[" * 1_000_000)
    (tmp_path / "tokenizer_config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    (tmp_path / "generation_config.json").write_text('{"a": 1, "a": 2}')
    answer = program("scan", tmp_path, "-f", "json")
    assert answer.returncode == 3
    assert {file["outcome"] for file in json.loads(answer.stdout)["files"]} == {"unknown"}


def test_archives_of_archives_of_zeros_are_refused_and_not_unpacked(tmp_path):
    def packed(data: bytes, name: str, count: int) -> bytes:
        file = BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for index in range(count):
                archive.writestr(f"{index}{name}", data)
        return file.getvalue()

    data = packed(bytes(50_000_000), ".bin", 2)
    for _ in range(4):
        data = packed(data, ".zip", 16)
    (tmp_path / "42.zip").write_bytes(data)
    answer = program("scan", tmp_path, "-f", "json")
    assert answer.returncode == 1
    assert "archive-bomb" in {finding["rule"] for finding in json.loads(answer.stdout)["findings"]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a": "' + b"x" * 100_000_000 + b'"}', "limit-json"),
        (b"[" + b"[]," * 5_000_000 + b"[]]", "limit-json"),
        (b"[" * 5_000_000, "limit-json"),
        (b"{}\n" * 10_000, "limit-bundles"),
    ],
    ids=["long", "wide", "deep", "many"],
)
def test_a_huge_signature_is_unknown_within_bounds(body, code, signed):
    (signed / "model" / "model.sig.jsonl").write_bytes(body)
    answer = program("verify", "model", "--key", "publisher.pub", "-f", "json")
    assert answer.returncode in (1, 3)
    assert code in {row["code"] for row in json.loads(answer.stdout)["signatures"]}


NAMES = (
    b"esc\x1b[31mred.txt",
    b"bidi\xe2\x80\xaegpj.txt",
    b"bad\xff\xfe.txt",
    b"new\nline.txt",
    b"csi\xc2\x9b2J.txt",
    b"<script>alert(1).txt",
    b"\n::error::forged.txt",
    b"`rm -rf`|x.txt",
    b"]]>.txt",
)


@pytest.mark.parametrize("form", FORMATS)
def test_names_reach_no_output_raw(form, tmp_path):
    for name in NAMES:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name.replace(b"/", b""))).write_bytes(HARMFUL)
    answer = program("scan", tmp_path, "-f", form, "-v")
    assert answer.returncode == 1
    text = answer.stdout.decode("utf-8")
    hidden = {c for c in text if (c < " " and c != "\n") or "\x7f" <= c < "\xa0" or c == "\u202e"}
    assert hidden == set()
    assert not any(line.startswith("::error::forged") for line in text.split("\n"))
    if form in ("html", "junit"):
        assert "<script>alert" not in text
    if form in ("json", "sarif", "gitlab"):
        json.loads(text)


# What the weighed may not do, and what people mistake.


def test_a_policy_and_a_keyring_inside_the_model_do_not_judge_it(signed):
    stranger = program("sign", "model", "--key", "stranger.key")
    assert stranger.returncode == 0
    assert program("trust", "init", "--trust", "model/trust").returncode == 0
    added = program("trust", "add", "me", "--key", "stranger.pub", "--trust", "model/trust")
    assert added.returncode == 0
    (signed / "model" / "weighbridge.toml").write_text(
        '[policy]\nextends = "research"\n[trust]\ndir = "trust"\n'
    )
    assert (
        json.loads(program("check", ".", "-f", "json", cwd=signed / "model").stdout)["verdict"] != "admitted"
    )
    assert program("check", "model", "--policy", "model/weighbridge.toml").returncode == 2
    assert program("check", "model", "--trust", "model/trust").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("verify", "model", "--key", "publisher.key"), "key-unreadable", "publisher.key"),
        (("verify", "model", "--key", "model/config.json"), "key-unreadable", "model/config.json"),
        (("verify", "model", "--key", "model"), "not-a-file", "model"),
        (("verify", "model", "--key", "nowhere.pub"), "no-such-path", "nowhere.pub"),
        (("verify", "model", "--root", "publisher.pub"), "certificate-unreadable", "publisher.pub"),
        (("verify", "model", "--threshold", "0"), "bad-option", "0"),
        (("sign", "model", "--key", "publisher.pub"), "key-unreadable", "publisher.pub"),
        (("sign", "model", "--key", "publisher.key", "--certificate", "publisher.pub"), "certificate-unreadable", "publisher.pub"),
        (("sign", "model", "--key", "publisher.key", "--signature", "no/x.sig"), "cannot-write", "no/x.sig"),
        (("scan", "model", "-o", "no/report.json"), "cannot-write", "no/report.json"),
        (("scan", "model", "-o", "model"), "cannot-write", "model"),
        (("check", "model", "--attest", "v", "--attest-key", "publisher.pub"), "key-unreadable", "publisher.pub"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_by_its_value(arguments, code, named, weighbridge, signed):
    before = (signed / "model" / "model.sig").read_bytes()
    answer = weighbridge(*arguments)
    assert answer.code == 2
    assert f'"{named}"' in answer.err
    assert f"[{code}]" in answer.err
    assert ".weighbridge-" not in answer.err
    assert (signed / "model" / "model.sig").read_bytes() == before


@pytest.mark.parametrize("path", ["model", "model/", "model/.", "./model", "model/../model", "link"])
def test_a_path_may_be_spelled_in_any_way(path, weighbridge, signed):
    (signed / "link").symlink_to("model")
    assert weighbridge("verify", path, "--key", "publisher.pub").code == 0
    assert weighbridge("sign", path, "--key", "publisher.key").code == 0
    assert weighbridge("verify", path, "--key", "publisher.pub").code == 0


def test_a_signature_with_a_name_of_its_own_is_no_part_of_what_is_signed_again(weighbridge, signed):
    for _ in range(2):
        assert (
            weighbridge(
                "sign", "model", "--key", "publisher.key", "--signature", "./model/../model/own.sig"
            ).code
            == 0
        )
    (signed / "model" / "model.sig").unlink()
    assert weighbridge("verify", "model", "--key", "publisher.pub", "--signature", "model/own.sig").code == 0


def test_settings_are_as_strict_as_options(weighbridge, signed, monkeypatch):
    for name, value in (
        ("LINKS", "sideways"),
        ("MAX_BYTES", "10Q"),
        ("FORMAT", "yaml"),
        ("EXIT_ZERO", "maybe"),
    ):
        monkeypatch.setenv(f"WEIGHBRIDGE_{name}", value)
        answer = weighbridge("scan", "model")
        assert answer.code == 2
        assert f"WEIGHBRIDGE_{name}" in answer.err
        monkeypatch.delenv(f"WEIGHBRIDGE_{name}")
    monkeypatch.setenv("WEIGHBRIDGE_VERBOSE", "1")
    assert weighbridge("scan", "model", "-v").code == 0


def test_keys_on_the_command_line_take_the_place_of_those_in_the_environment(
    weighbridge, signed, monkeypatch
):
    monkeypatch.setenv("WEIGHBRIDGE_KEY", "publisher.pub")
    assert weighbridge("verify", "model").code == 0
    assert weighbridge("verify", "model", "--key", "stranger.pub").code == 1
    monkeypatch.setenv("WEIGHBRIDGE_KEY", "publisher.key")
    assert weighbridge("sign", "model").code == 0


def test_an_error_is_json_where_the_environment_asks_for_it(weighbridge, monkeypatch):
    monkeypatch.setenv("WEIGHBRIDGE_FORMAT", "json")
    assert weighbridge("scan", "nowhere").json["error"]["code"] == "no-such-path"
    assert weighbridge("scan", "nowhere", "-f", "human").out == ""


# Where the answer goes.


@pytest.mark.parametrize("arguments", [("scan", "model"), ("rule",), ("--help",)])
def test_a_reader_that_leaves_early_hears_no_complaint(arguments, signed):
    process = start(*arguments)
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait(SECONDS) == 4


@pytest.mark.parametrize("arguments", [("scan", "model"), ("--version",), ("--help",), ("rule",)])
def test_a_full_disk_behind_standard_output_is_told(arguments, signed):
    with Path("/dev/full").open("wb") as full:
        answer = program(*arguments, stdout=full)
    assert answer.returncode == 4
    assert "[disk]" in answer.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_change_the_verdict(closed, signed):
    script = f'"$@" {closed}'
    for path, code in (("model", 0), ("nowhere", 2)):
        command = ["sh", "-c", script, "sh", *PROGRAM, "scan", path]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr


def test_no_locale_is_too_poor(tmp_path):
    poor = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    answer = program("doctor", env=poor)
    assert answer.returncode == 0
    assert "✓ python" in answer.stdout.decode("utf-8")


def test_a_device_or_link_as_output_is_written_to_and_not_replaced(tmp_path, weighbridge, signed):
    (signed / "target.json").write_text("old")
    (signed / "link.json").symlink_to("target.json")
    assert weighbridge("scan", "model", "-f", "json", "-o", "link.json").code == 0
    assert (signed / "link.json").is_symlink()
    assert json.loads((signed / "target.json").read_text())["verdict"] == "admitted"
    assert program("scan", "model", "-q", "-o", "/dev/stdout").stdout.startswith(b"ADMITTED")


# Signing that is disturbed.


def test_a_write_that_the_disk_cuts_short_leaves_the_old_signature(signed):
    before = (signed / "model" / "model.sig").read_bytes()
    answer = program("sign", "model", "--key", "stranger.key", file_size=200)
    assert answer.returncode == 4
    assert "[disk]" in answer.stderr
    assert '"model/model.sig"' in answer.stderr
    assert (signed / "model" / "model.sig").read_bytes() == before
    assert listed(signed / "model") == MODEL | {"model.sig"}


def test_an_interrupted_signing_says_130_and_leaves_everything(signed):
    with (signed / "model" / "zeros.bin").open("wb") as file:
        file.truncate(50 * 1024**3)
    before = (signed / "model" / "model.sig").read_bytes()
    process = start("sign", "model", "--key", "stranger.key")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert err == b""
    assert (signed / "model" / "model.sig").read_bytes() == before
    assert listed(signed / "model") == MODEL | {"model.sig", "zeros.bin"}


SIGN_FOR_EVER = """
from weighbridge.sign.signer import open_signer
from weighbridge.signing import Wish, sign_model
import os
import sys
signers = [[open_signer("publisher.key")], [open_signer("publisher.key"), open_signer("stranger.key")]]
for these in signers:
    sign_model(Wish(path="model"), these)
while sys.stdin.readline().strip():
    child = os.fork()
    while not child:
        for these in signers:
            sign_model(Wish(path="model", jobs=1), these)
    print(child, flush=True)
    os.waitpid(child, 0)
"""
"""Forks for each line that it hears, so that every child that is killed has no start-up of its own."""


def test_signing_that_is_killed_leaves_a_whole_signature_and_nothing_else(weighbridge, signed):
    chance = random.Random(20)
    command = [sys.executable, "-c", SIGN_FOR_EVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        for _ in range(40):
            process.stdin.write("next\n")
            child = int(process.stdout.readline())
            time.sleep(chance.uniform(0, 0.04))
            os.kill(child, signal.SIGKILL)
            assert listed(signed / "model") <= MODEL | {"model.sig", "model.sig.jsonl"}
            assert weighbridge("verify", "model", "--key", "publisher.pub").code == 0
        process.stdin.write("\n")


def test_signatures_that_are_added_at_the_same_time_all_stay(weighbridge, signed):
    for name in "abcd":
        assert weighbridge("key", "new", name).code == 0
    running = [start("sign", "model", "--add", "--key", f"{name}.key") for name in "abcd"]
    for process in running:
        process.communicate(timeout=SECONDS)
    assert [process.returncode for process in running] == [0, 0, 0, 0]
    keys = [word for name in ("publisher", *"abcd") for word in ("--key", f"{name}.pub")]
    answer = weighbridge("verify", "model", *keys, "--threshold", "5", "-f", "json")
    assert answer.code == 0
    assert len(answer.json["signatures"]) == 5


# Start-up.


def modules(arguments: str) -> set[str]:
    script = (
        "import sys\nfrom weighbridge.cli.app import run\n"
        f"code = run({arguments})\nprint(*sys.modules, file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=SECONDS, check=True)
    return set(done.stderr.decode().split())


def test_a_scan_imports_nothing_that_is_heavy(tmp_path):
    from .conftest import safetensors

    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.safetensors").write_bytes(safetensors(weight=b"1234"))
    found = {name.partition(".")[0] for name in modules("['scan', 'm']")}
    heavy = {
        "numpy",
        "torch",
        "sigstore",
        "jinja2",
        "rich",
        "cel",
        "pkcs11",
        "cryptography",
        "asyncio",
        "ssl",
    }
    assert found & heavy == set()


def test_the_version_imports_little(tmp_path):
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, check=True
    )
    extra = modules("['--version']") - set(bare.stdout.decode().split())
    assert len(extra) < 60
