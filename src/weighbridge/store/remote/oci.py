"""`oci://host/repository[:tag][@sha256:…]`: a model in an OCI registry; a layer is a file.

OCI distribution specification 1.1: the manifest is fetched by tag or digest and, with a digest, compared with it;
layers are blobs that are read by ranges under their digests, which are kept as the registry's claim. A layer's name is
its annotation `org.opencontainers.image.title`; one without a name is called by its digest. Tokens as the registry
asks for them (`WWW-Authenticate: Bearer`); passwords from Docker's configuration file.
"""

import base64
import hashlib
import json
import os
import re
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.text import visible
from weighbridge.store.remote.http import LOOPBACK, Client, File, Response, refusal, refuse_plain
from weighbridge.store.remote.ranges import RemoteFiles

TITLE = "org.opencontainers.image.title"
ACCEPT = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.oci.image.index.v1+json"
)
MAX_LAYERS = 100_000
_REFERENCE = re.compile(
    r"oci://(?P<host>[\w.-]+(?::\d+)?)/(?P<name>[a-z0-9._/-]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.IGNORECASE,
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


def open_reference(reference: str) -> Artifact:
    """The files of one manifest. Raises `UsageError`, `InputError` (`digest-differs`, `bad-listing`), `BrokenError`."""
    found = _REFERENCE.fullmatch(reference)
    if not found:
        hint = "oci://registry.example/team/model:v1 or …@sha256:…"
        raise UsageError("bad-reference", f'"{visible(reference)}" is no reference to a registry', hint)
    registry = _Registry(found["host"], found["name"])
    manifest = registry.manifest(found["digest"] or found["tag"] or "latest")
    return registry.artifact(manifest)


class _Registry:
    """One repository in one registry."""

    def __init__(self, host: str, name: str) -> None:
        plain = host.partition(":")[0] in LOOPBACK
        self._host, self._name = host, name
        self._base = f"{'http' if plain else 'https'}://{host}/v2/{name}"
        self._client = Client()

    def manifest(self, reference: str) -> dict[str, Any]:
        """The manifest under a tag or digest."""
        answer = self._get(f"{self._base}/manifests/{quote(reference, safe=':')}")
        if reference.startswith("sha256:") and hashlib.sha256(answer.body).hexdigest() != reference[7:]:
            raise InputError("digest-differs", f'"{self._host}" sent another manifest than "{reference}"')
        manifest = answer.json("the registry's manifest")
        if not isinstance(manifest, dict) or not isinstance(manifest.get("layers"), list):
            raise InputError("bad-listing", f'"{self._name}" is no single manifest with layers')
        return manifest

    def artifact(self, manifest: dict[str, Any]) -> Artifact:
        """A file for each layer."""
        layers = [_layer(layer) for layer in manifest["layers"][:MAX_LAYERS]]
        names = [name for name, _, _ in layers]
        if len(set(names)) != len(names) or len(manifest["layers"]) > MAX_LAYERS:
            raise InputError("bad-listing", f'"{self._name}" has two layers of one name, or far too many')
        files = {name: File(self._client, f"{self._base}/blobs/{digest}", name) for name, digest, _ in layers}
        stated = {name: bytes.fromhex(digest[7:]) for name, digest, _ in layers}
        return Artifact(
            remote=True,
            name=self._name.rpartition("/")[2],
            files=RemoteFiles({name: partial(_part, file) for name, file in files.items()}, stated),
            members=tuple(sorted(Member(name, size) for name, _, size in layers)),
        )

    def _get(self, url: str) -> Response:
        """With a token when the registry asks for one; all later requests then carry it."""
        accept = {"accept": ACCEPT}
        answer = self._client.get(url, accept)
        if answer.status == 401:
            self._client = Client({"authorization": self._authorization(answer)})
            answer = self._client.get(url, accept)
        if answer.status != 200:
            raise refusal(answer.status, f'"{visible(self._name)}" in "{self._host}"')
        return answer

    def _authorization(self, answer: Response) -> str:
        kind, _, rest = answer.headers.get("www-authenticate", "").partition(" ")
        basic = _password(self._host)
        if kind.lower() == "basic" and basic:
            return basic
        asked = dict(_CHALLENGE.findall(rest))
        if kind.lower() != "bearer" or "realm" not in asked:
            raise refusal(401, f'"{visible(self._name)}" in "{self._host}"')
        refuse_plain(asked["realm"])
        words = {key: asked[key] for key in ("service", "scope") if key in asked}
        url = f"{asked['realm']}?{urlencode(words)}"
        token = Client().document(
            url, f'a token for "{self._host}"', {"authorization": basic} if basic else None
        )
        found = token.json("the registry's token")
        return f"Bearer {found.get('token') or found.get('access_token') or ''}"


def _layer(layer: Any) -> tuple[str, str, int]:
    """(name, digest, size) of one layer."""
    digest, size = (layer.get("digest"), layer.get("size")) if isinstance(layer, dict) else (None, None)
    if (
        not isinstance(digest, str)
        or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
        or type(size) is not int
        or size < 0
    ):
        raise InputError("bad-listing", "the registry's manifest has a layer without digest or size")
    name = (layer.get("annotations") or {}).get(TITLE)
    return (name if isinstance(name, str) and name else digest.replace(":", "-")), digest, size


def _part(file: File, start: int, end: int) -> bytes:
    return file.fetch(start, end)


def _password(host: str) -> str:
    """The header for a host from Docker's configuration; "" where there is none."""
    folder = os.environ.get("DOCKER_CONFIG") or str(Path.home() / ".docker")
    try:
        auths = json.loads((Path(folder) / "config.json").read_bytes()).get("auths", {})
        entry = str(auths[host]["auth"])
        base64.b64decode(entry, validate=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return f"Basic {entry}"
