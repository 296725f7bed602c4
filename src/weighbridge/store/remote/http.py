"""One polite HTTP client for all stores: byte ranges of one version of a file, and small documents.

urllib3 does the work: TLS with the system's authorities, time-outs, retries of what is safe to ask again, and no
credentials after a redirect to another host. Ours to add: HTTPS only (but for this machine itself), the entity tag
that pins a file's version (RFC 9110, sections 13.1.5 and 14), and errors that name the host.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from weighbridge.core.errors import BrokenError, InputError, UsageError
from weighbridge.core.text import visible
from weighbridge.core.version import __version__
from weighbridge.core.wire import read_json

if TYPE_CHECKING:
    import urllib3

SECONDS = 30.0
MAX_DOCUMENT = 32 * 1024**2
LOOPBACK = ("localhost", "127.0.0.1", "::1")
REDIRECTS = 5


class Response:
    """An answer's status, headers (lower case) and body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, url: str) -> None:
        self.status, self.body, self.url = status, body, url
        self.headers = {name.lower(): value for name, value in headers.items()}

    def json(self, what: str) -> Any:
        """The body as strict JSON. Raises `InputError`."""
        return read_json(self.body, what, limit=MAX_DOCUMENT)


class Client:
    """Requests with the same headers to one store."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self.headers = {
            "user-agent": f"weighbridge/{__version__}",
            "accept-encoding": "identity",
            **(headers or {}),
        }

    def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, limit: int = MAX_DOCUMENT
    ) -> Response:
        """One small document, whatever its status. Raises `BrokenError` (`network`) and `UsageError`."""
        return self._ask("GET", url, {**self.headers, **(headers or {})}, limit)

    def document(self, url: str, what: str, headers: Mapping[str, str] | None = None) -> Response:
        """The same, where anything but 200 is an error. Raises `UsageError` (`no-such-path`, `not-allowed`)."""
        found = self.get(url, headers)
        if found.status != 200:
            raise refusal(found.status, what)
        return found

    def head(self, url: str, what: str) -> Response:
        """Headers of a file, by a request for its first byte: some stores know no HEAD, others answer it wrongly."""
        found = self._ask("GET", url, {**self.headers, "range": "bytes=0-0"}, 1)
        if found.status not in (200, 206, 416):
            raise refusal(found.status, what)
        return found

    def _ask(self, method: str, url: str, headers: Mapping[str, str], limit: int) -> Response:
        import urllib3

        for _ in range(REDIRECTS + 1):
            refuse_plain(url)
            try:
                with _pool().request(
                    method,
                    url,
                    headers=dict(headers),
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                ) as answer:
                    target = answer.get_redirect_location()
                    if not target:
                        return Response(answer.status, answer.headers, _body(answer, limit, url), url)
            except urllib3.exceptions.HTTPError as error:
                raise _network(url, error) from None
            url, headers = _redirected(url, str(target), headers)
        raise BrokenError("network", f'"{_host(url)}" redirects without end')


class File:
    """One file at an address: `fetch` is a `ranges.Fetch` over the version that was seen first."""

    def __init__(self, client: Client, url: str, name: str) -> None:
        self._client, self._url, self._name = client, url, name
        self._tag: str | None = None
        self._size: int | None = None

    def size(self) -> int:
        """Bytes. Raises `UsageError` (`no-ranges`, `no-such-path`)."""
        found = self._client.head(self._url, self._name)
        total = found.headers.get("content-range", "").rpartition("/")[2]
        if found.status == 416 and total == "0":
            self._size = 0
        elif found.status == 206 and total.isdecimal():
            self._size = int(total)
        else:
            raise UsageError(
                "no-ranges", f'"{_host(found.url)}" does not serve parts of "{visible(self._name, 80)}"',
                "download the file and scan it here",
            )  # fmt: skip
        self._tag = found.headers.get("etag")
        return self._size

    def fetch(self, start: int, end: int) -> bytes:
        """The bytes `[start, end)`. Raises `InputError` (`file-changed`, `unreadable`)."""
        wanted = {"range": f"bytes={start}-{end - 1}"}
        found = self._client.get(self._url, wanted, limit=end - start)
        if found.status != 206:
            raise InputError(
                "unreadable", f'"{_host(found.url)}" answered {found.status} for a part of the file'
            )
        if found.headers.get("content-range", "").partition("/")[0] != f"bytes {start}-{end - 1}":
            raise InputError("unreadable", f'"{_host(found.url)}" answered with another part than asked')
        tag = found.headers.get("etag")
        if self._tag is None:
            self._tag = tag
        if tag != self._tag:
            raise InputError("file-changed", f'"{visible(self._name)}" changed while it was read')
        return found.body


def refusal(status: int, what: str) -> UsageError:
    """What a status says to the person who typed the reference."""
    if status in (401, 403):
        return UsageError("not-allowed", f"{what}: the store wants other credentials ({status})")
    return UsageError("no-such-path", f"{what}: the store answered {status}")


def refuse_plain(url: str) -> None:
    """Only HTTPS, except to this machine. Raises `UsageError` (`plain-http`)."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise UsageError(
            "plain-http", f'"{visible(url, 120)}" is not https, and anybody on the way could change it'
        )


def _redirected(url: str, target: str, headers: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """Where to ask next; credentials stay with the host that they are for."""
    from urllib.parse import urljoin

    following = urljoin(url, target)
    same = urlsplit(following)[:2] == urlsplit(url)[:2]
    return following, headers if same else {k: v for k, v in headers.items() if k.lower() != "authorization"}


def _body(answer: "urllib3.BaseHTTPResponse", limit: int, url: str) -> bytes:
    data = answer.read(limit + 1)
    if len(data) <= limit:
        return data
    if answer.status != 206 and limit < MAX_DOCUMENT:
        return data[:limit]  # something else instead of a part: the caller sees the status
    raise BrokenError("network", f'"{_host(url)}" sent more than {limit} bytes')


def _network(url: str, error: Exception) -> BrokenError:
    import urllib3

    cause: BaseException = error
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        cause = error.reason
    return BrokenError(
        "network", f'cannot reach "{_host(url)}": {visible(str(cause).rpartition(": ")[2], 160)}'
    )


def _host(url: str) -> str:
    return visible(urlsplit(url).netloc.rpartition("@")[2] or url, 80)


@cache
def _pool() -> Any:
    import logging

    import urllib3

    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it would tell of every attempt on standard error
    retries = urllib3.Retry(
        total=3, redirect=0, backoff_factor=0.3, status_forcelist=(429, 502, 503, 504), raise_on_status=False
    )
    timeout = urllib3.Timeout(connect=10.0, read=SECONDS)
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    if proxy:
        return urllib3.ProxyManager(proxy, retries=retries, timeout=timeout)
    return urllib3.PoolManager(retries=retries, timeout=timeout)
