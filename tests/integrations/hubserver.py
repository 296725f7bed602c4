"""A hub on this machine, as far as `huggingface_hub` asks one for files at one commit."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "c0ffee" + "0" * 34


class Hub:
    """Repository → path → bytes; and what was asked for."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.fetched: list[str] = []
        self.url = ""
        self.broken: set[str] = set()
        """Paths that are answered with an error of the server's."""

    def publish(self, name: str, folder: Path) -> None:
        """Serve all files of a folder."""
        self.repositories[name] = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET(body=False)

        def do_GET(self, *, body: bool = True) -> None:
            path = self.path.partition("?")[0].strip("/")
            if path.startswith("api/models/"):
                org, name, kind, *_ = path.removeprefix("api/models/").split("/")
                files = hub.repositories.get(f"{org}/{name}")
                if files is None:
                    return self.answer(404, b"{}", body)
                if kind == "revision":
                    return self.answer(200, json.dumps({"id": f"{org}/{name}", "sha": COMMIT}).encode(), body)
                rows = [
                    {"type": "file", "path": p, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                    for p, d in files.items()
                ]
                return self.answer(200, json.dumps(rows).encode(), body)
            org, name, _, _, *rest = path.split("/")
            wanted = "/".join(rest)
            if wanted in hub.broken:
                return self.answer(403, b"", body)
            data = hub.repositories.get(f"{org}/{name}", {}).get(wanted)
            if data is None:
                return self.answer(
                    404, b"", body, **{"x-error-code": "EntryNotFound", "x-repo-commit": COMMIT}
                )
            if body:
                hub.fetched.append(wanted)
            tag = hashlib.sha1(data).hexdigest()
            return self.answer(200, data, body, **{"etag": f'"{tag}"', "x-repo-commit": COMMIT})

        def answer(self, status: int, data: bytes, body: bool, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.send_header("content-type", "application/json")
            self.end_headers()
            if body:
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
