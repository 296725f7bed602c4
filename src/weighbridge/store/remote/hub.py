"""`hf://[datasets/|spaces/]org/name[@revision][/path]`: a repository of a Hugging Face hub, at one commit.

The revision is resolved to a commit first, and all files are read at that commit. `HF_ENDPOINT` names another hub,
`HF_TOKEN` is sent to that host only. The digest that the hub states for a large file (its Git LFS object id) is kept
as a claim. https://huggingface.co/docs/hub/api
"""

import os
import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote, urljoin

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.text import visible
from weighbridge.store.remote.http import Client, File
from weighbridge.store.remote.ranges import RemoteFiles

ENDPOINT = "https://huggingface.co"
MAX_FILES = 100_000
_REFERENCE = re.compile(
    r"hf://(?:(?P<kind>datasets|spaces|models)/)?(?P<name>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[^/]+))?(?:/(?P<path>.+))?",
    re.IGNORECASE,
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def open_reference(reference: str) -> Artifact:
    """The repository, or what lies below a path in it. Raises `UsageError`, `InputError`, `BrokenError`."""
    found = _REFERENCE.fullmatch(reference)
    if not found:
        hint = "hf://org/name, hf://org/name@revision or hf://datasets/org/name"
        raise UsageError("bad-reference", f'"{visible(reference)}" is no reference to a hub', hint)
    repository = _Repository(found["kind"] or "models", found["name"], found["revision"] or "main")
    return repository.artifact(found["path"] or "")


class _Repository:
    """One repository at one commit."""

    def __init__(self, kind: str, name: str, revision: str) -> None:
        token = os.environ.get("HF_TOKEN", "").strip()
        self._client = Client({"authorization": f"Bearer {token}"} if token else None)
        self._host = os.environ.get("HF_ENDPOINT", ENDPOINT).rstrip("/")
        self._api = f"{self._host}/api/{kind.lower()}/{name}"
        self._files = f"{self._host}/{name}" if kind == "models" else f"{self._host}/{kind.lower()}/{name}"
        self._name = name
        self.commit = self._resolve(revision)

    def artifact(self, path: str) -> Artifact:
        """Every file at or below `path`."""
        rows = [
            row
            for row in self._rows()
            if not path or row["path"] == path or row["path"].startswith(f"{path}/")
        ]
        if not rows:
            raise UsageError("no-such-path", f'"{self._name}" has nothing at "{visible(path)}"')
        stated = {row["path"]: oid for row in rows if (oid := _stated(row))}
        fetchers = {
            row["path"]: partial(_fetch, self._client, self._address(row["path"]), row) for row in rows
        }
        members = {row["path"]: Member(row["path"], row["size"]) for row in rows}
        return Artifact(
            remote=True,
            name=f"{self._name}@{self.commit[:12]}",
            files=RemoteFiles(fetchers, stated),
            members=tuple(sorted(members.values())),
        )

    def _resolve(self, revision: str) -> str:
        what = f'model "{visible(self._name)}" at "{visible(revision)}"'
        url = f"{self._api}/revision/{quote(revision, safe='')}"
        commit = self._client.document(url, what).json(what).get("sha")
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise InputError("bad-listing", f"the hub names no commit for {what}")
        return commit

    def _rows(self) -> Iterator[dict[str, Any]]:
        """The tree, page by page (`Link: …; rel="next"`)."""
        url = f"{self._api}/tree/{self.commit}?recursive=true&expand=false"
        count = 0
        while url:
            answer = self._client.document(url, f'the files of "{visible(self._name)}"')
            for row in _checked(answer.json("the hub's list of files")):
                count += 1
                if count > MAX_FILES:
                    raise InputError("limit-members", f"the hub lists more than {MAX_FILES} files")
                yield row
            following = re.search(r'<([^>]+)>;\s*rel="next"', answer.headers.get("link", ""))
            url = urljoin(url, following[1]) if following else ""
            if url and not url.startswith(f"{self._host}/"):
                raise InputError("bad-listing", "the hub's list of files goes on at another host")

    def _address(self, path: str) -> str:
        return f"{self._files}/resolve/{self.commit}/{quote(path)}"


def _checked(rows: Any) -> Iterator[dict[str, Any]]:
    for row in rows if isinstance(rows, list) else [None]:
        if not isinstance(row, dict) or not isinstance(row.get("path"), str) or not row["path"]:
            raise InputError("bad-listing", "the hub's list of files is no list of files")
        if row.get("type") != "file":
            continue
        if type(row.get("size")) is not int or row["size"] < 0:
            raise InputError("bad-listing", f'the hub states no size of "{visible(row["path"])}"')
        yield row


def _stated(row: dict[str, Any]) -> bytes | None:
    oid = (row.get("lfs") or {}).get("oid")
    return bytes.fromhex(oid) if isinstance(oid, str) and re.fullmatch(r"[0-9a-f]{64}", oid) else None


def _fetch(client: Client, url: str, row: dict[str, Any], start: int, end: int) -> bytes:
    file = row.get("_file")
    if file is None:
        file = row["_file"] = File(client, url, row["path"])
    data: bytes = file.fetch(start, end)
    return data
