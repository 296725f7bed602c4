"""Models elsewhere: what is fetched, what is refused, and what a lying or changing server cannot do."""

import hashlib
import json
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.artifact import Artifact
from weighbridge.core.errors import BrokenError, InputError, UsageError
from weighbridge.measure.survey import Survey, survey
from weighbridge.scan.engine import Scanner
from weighbridge.store.remote import is_remote, open_remote
from weighbridge.store.remote.ranges import PAGE, WHOLE, RangeSource

from .served import COMMIT, Served, serving


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for name in ("HF_TOKEN", "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


def tensors(size: int) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


BIG = tensors(8 * 1024**2)
SMALL = json.dumps({"model_type": "bert"}).encode()


def look(artifact: Artifact) -> Survey:
    return survey(artifact, Scanner().examine)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 40 * PAGE),
    st.lists(st.tuples(st.integers(0, 41 * PAGE), st.integers(0, 5 * PAGE)), max_size=8),
)
def test_any_reading_gives_the_bytes_and_fetches_each_page_once(
    size: int, reads: list[tuple[int, int]]
) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    asked: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        asked.append((start, end))
        return data[start:end]

    source = RangeSource(size, fetch)
    for offset, length in reads:
        assert source.read(offset, length) == data[offset : offset + length]
    assert sum(end - start for start, end in asked) == source.fetched.fetched <= size
    pages = [page for start, end in asked for page in range(start // PAGE, -(-end // PAGE))]
    assert len(pages) == len(set(pages))
    assert (source.sha256() == hashlib.sha256(data).digest()) is source.fetched.whole
    source.close()


def test_a_hub_is_read_at_one_commit_and_by_ranges(web: Served) -> None:
    web.hub("team/model", {"config.json": SMALL, "model.safetensors": BIG})
    artifact = open_remote("hf://team/model")
    assert [(m.path, m.size) for m in artifact.members] == [
        ("config.json", len(SMALL)),
        ("model.safetensors", len(BIG)),
    ]
    seen = look(artifact)
    assert {path for path, _ in web.asked if "resolve" in path} == {
        f"/team/model/resolve/{COMMIT}/config.json", f"/team/model/resolve/{COMMIT}/model.safetensors",
    }  # fmt: skip
    assert seen.fetched < 600_000
    (left,) = seen.measurement.unread
    assert (left.place.path, left.code) == ("model.safetensors", "not-fetched")
    small, big = seen.measurement.manifest.entries
    assert small.sha256 == hashlib.sha256(SMALL).digest()
    assert (big.sha256, seen.measurement.claimed) == (hashlib.sha256(BIG).digest(), {"model.safetensors"})


def test_a_part_of_a_hub_repository(web: Served) -> None:
    web.hub("team/model", {"a/config.json": SMALL, "b/config.json": SMALL})
    assert [m.path for m in open_remote("hf://team/model@main/b").members] == ["b/config.json"]
    with pytest.raises(UsageError) as caught:
        open_remote("hf://team/model@main/c")
    assert caught.value.code == "no-such-path"


def test_a_token_stays_with_its_host(web: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    web.hub("team/model", {"config.json": SMALL, "more.json": SMALL})
    with serving() as cdn:
        cdn.files["/blob"] = SMALL
        web.redirects[f"/team/model/resolve/{COMMIT}/config.json"] = f"{cdn.url}/blob"
        look(open_remote("hf://team/model"))
        assert cdn.asked
        assert not any("authorization" in headers for _, headers in cdn.asked)
    assert all(headers.get("authorization") == "Bearer hf_secret" for _, headers in web.asked)


def test_one_file_of_a_web_server(web: Served) -> None:
    web.files["/files/model%201.safetensors"] = BIG
    seen = look(open_remote(f"{web.url}/files/model%201.safetensors"))
    (entry,) = seen.measurement.manifest.entries
    assert (entry.path, entry.sha256, seen.measurement.claimed) == ("model 1.safetensors", None, frozenset())
    assert web.sent < 600_000


def test_a_small_file_is_fetched_whole_and_measured(web: Served) -> None:
    web.files["/config.json"] = SMALL
    seen = look(open_remote(f"{web.url}/config.json"))
    assert seen.measurement.unread == ()
    assert seen.measurement.manifest.entries[0].sha256 == hashlib.sha256(SMALL).digest()
    assert len(SMALL) < WHOLE


@pytest.mark.parametrize(
    ("switch", "code"),
    [({"ranges": False}, "no-ranges"), ({"token": "other"}, "not-allowed"), ({"files": {}}, "no-such-path")],
)
def test_what_cannot_be_read_is_said_at_once(switch: dict[str, object], code: str, web: Served) -> None:
    web.files["/m.safetensors"] = BIG
    for name, value in switch.items():
        setattr(web, name, value)
    with pytest.raises(UsageError) as caught:
        open_remote(f"{web.url}/m.safetensors")
    assert caught.value.code == code


def test_a_file_that_changes_is_unread(web: Served) -> None:
    web.files["/m.safetensors"] = BIG
    artifact = open_remote(f"{web.url}/m.safetensors")
    web.tag_changes = True
    scan = Scanner()
    seen = survey(artifact, scan.examine)
    codes = {item.code for item in scan.finish(artifact, seen.measurement.examined).unread}
    assert "file-changed" in codes


def test_nobody_answers() -> None:
    with pytest.raises(BrokenError) as caught:
        open_remote("http://127.0.0.1:9/model.bin")
    assert caught.value.code == "network"


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("http://example.com/model.bin", "plain-http"), ("hf://only", "bad-reference"), ("hf://a/b/", "bad-reference"),
        ("oci://Example.com", "bad-reference"), ("https://", "bad-reference"), ("hf://a/../../b", "bad-reference"),
    ],
)  # fmt: skip
def test_references_that_are_none(reference: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_remote(reference)
    assert caught.value.code == code


def test_what_is_remote() -> None:
    assert [is_remote(text) for text in ("hf://a/b", "OCI://x/y", "./a", "model.pt", "c:/x", "://", "file://x")] == [
        True, True, False, False, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [{}, [{"path": 3}], [{"path": "x", "type": "file", "size": -1}], [{"path": "x", "type": "file"}], ["x"]],
)
def test_a_listing_that_is_none(rows: object, web: Served) -> None:
    web.hub("team/model", {"a.json": SMALL, "b.json": SMALL})
    web.files[f"/api/models/team/model/tree/{COMMIT}"] = json.dumps(rows).encode()
    with pytest.raises(InputError) as caught:
        open_remote("hf://team/model")
    assert caught.value.code == "bad-listing"


def registry(web: Served, *layers: tuple[str, bytes]) -> str:
    rows = []
    for title, data in layers:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        web.files[f"/v2/team/model/blobs/{digest}"] = data
        rows.append(
            {"digest": digest, "size": len(data), "annotations": {"org.opencontainers.image.title": title}}
        )
    manifest = json.dumps({"schemaVersion": 2, "layers": rows}).encode()
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    web.files["/v2/team/model/manifests/v1"] = web.files[f"/v2/team/model/manifests/{digest}"] = manifest
    return digest


def test_layers_of_a_registry_are_files(web: Served) -> None:
    digest = registry(web, ("config.json", SMALL), ("model.safetensors", BIG))
    host = web.url.removeprefix("http://")
    for reference in (f"oci://{host}/team/model:v1", f"oci://{host}/team/model@{digest}"):
        seen = look(open_remote(reference))
        assert [entry.path for entry in seen.measurement.manifest.entries] == [
            "config.json",
            "model.safetensors",
        ]
        assert seen.measurement.claimed == {"model.safetensors"}


def test_a_registry_that_sends_another_manifest(web: Served) -> None:
    digest = registry(web, ("config.json", SMALL))
    web.files[f"/v2/team/model/manifests/{digest}"] += b" "
    with pytest.raises(InputError) as caught:
        open_remote(f"oci://{web.url.removeprefix('http://')}/team/model@{digest}")
    assert caught.value.code == "digest-differs"


def test_two_layers_of_one_name(web: Served) -> None:
    registry(web, ("config.json", SMALL), ("config.json", BIG))
    with pytest.raises(InputError) as caught:
        open_remote(f"oci://{web.url.removeprefix('http://')}/team/model:v1")
    assert caught.value.code == "bad-listing"
