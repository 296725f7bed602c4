"""A web server on this machine that serves byte ranges, the way hubs, registries and web servers do.

`Served.files` is path → bytes; every answer is counted, and a few wrong ways to serve can be switched on.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c0ffee" + "0" * 34


class Served:
    """What the server has, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.sent = 0
        self.ranges = True
        self.tag_changes = False
        self.token = ""
        self.url = ""

    def hub(self, name: str, files: dict[str, bytes], *, lie: dict[str, str] | None = None) -> None:
        """Serve a repository as a Hugging Face hub does, at one commit."""
        rows = [
            {"type": "file", "path": path, "size": len(data), "oid": "0" * 40,
             **({"lfs": {"oid": (lie or {}).get(path) or hashlib.sha256(data).hexdigest(), "size": len(data)}} if len(data) > 1000 else {})}
            for path, data in files.items()
        ]  # fmt: skip
        half = len(rows) // 2
        self.files[f"/api/models/{name}/revision/main"] = json.dumps({"sha": COMMIT}).encode()
        self.files[f"/api/models/{name}/tree/{COMMIT}"] = json.dumps(rows[:half]).encode()
        self.files[f"/api/models/{name}/tree/{COMMIT}/more"] = json.dumps(rows[half:]).encode()
        for path, data in files.items():
            self.redirects[f"/{name}/resolve/{COMMIT}/{path}"] = f"/cdn/{name}/{path}"
            self.files[f"/cdn/{name}/{path}"] = data

    @property
    def count(self) -> int:
        """Requests for parts of files."""
        return sum("range" in headers for _, headers in self.asked)


@contextmanager
def serving() -> Iterator[Served]:
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            headers = {name.lower(): value for name, value in self.headers.items()}
            served.asked.append((path, headers))
            if served.token and headers.get("authorization") != f"Bearer {served.token}":
                return self.answer(401, b"who are you")
            if path in served.redirects:
                return self.answer(302, b"", location=served.redirects[path])
            if path not in served.files:
                return self.answer(404, b"nothing here")
            data = served.files[path]
            more = (
                {"link": f'<{served.url}{path}/more>; rel="next"'} if path.endswith(f"/tree/{COMMIT}") else {}
            )
            more["etag"] = (
                f'"{len(served.asked) if served.tag_changes else hashlib.sha256(data).hexdigest()[:16]}"'
            )
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
            if not wanted or not served.ranges:
                return self.answer(200, data, **more)
            start, end = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
            if start >= len(data):
                return self.answer(416, b"", **{**more, "content-range": f"bytes */{len(data)}"})
            return self.answer(
                206, data[start : end + 1], **{**more, "content-range": f"bytes {start}-{end}/{len(data)}"}
            )

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            served.sent += len(body)
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
