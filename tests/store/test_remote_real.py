"""The same against the real thing: an OCI registry (docker-registry) and an S3 server (SeaweedFS)."""

import hashlib
import json
from collections.abc import Iterator

import pytest
import urllib3

from tests import services
from weighbridge.core.errors import UsageError
from weighbridge.store.remote import open_remote

from .test_remote import BIG, SMALL, look

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with services.registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


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
    with services.s3(tmp_path_factory.mktemp("s3")) as url:
        yield url


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
