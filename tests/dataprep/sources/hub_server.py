"""A server on loopback that answers as the Hugging Face Hub does to those who read a data set."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer:
    """One data set, `team/corpus`, with files by their paths; needs the token `secret`."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: list[str] = []
        self.failures = 0
        """How often reading a file fails next."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def tree(self, folder: str, recursive: bool) -> list[dict[str, object]]:
        """Return the entries of a folder; `recursive`: those of its folders too."""
        parents = {str(parent) for name in self.files for parent in PurePosixPath(name).parents} - {"."}
        entries = [*(_folder(name) for name in sorted(parents)), *(self.entry(name) for name in sorted(self.files))]
        prefix = f"{folder}/" if folder else ""
        below = [one for one in entries if str(one["path"]).startswith(prefix)]
        return [one for one in below if recursive or "/" not in str(one["path"])[len(prefix) :]]

    def entry(self, name: str) -> dict[str, object]:
        content = self.files[name]
        return {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content), "path": name}


def _folder(name: str) -> dict[str, object]:
    return {"type": "directory", "oid": hashlib.sha1(name.encode()).hexdigest(), "size": 0, "path": name}


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - the protocol in one place
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            url = urlsplit(self.path)
            path = unquote(url.path)
            hub.requests.append(f"{self.command} {path}")
            parts = path.strip("/").split("/")
            if self.headers.get("Authorization") != "Bearer secret":
                self._send(401, b'{"error": "Invalid credentials"}')
            elif path.startswith("/api/datasets/team/corpus/tree/"):
                recursive = parse_qs(url.query).get("recursive", ["false"])[0].lower() == "true"
                self._json(hub.tree("/".join(parts[6:]), recursive))
            elif path.startswith("/api/datasets/team/corpus/paths-info/"):
                self._json([found for name in parse_qs(body)["paths"] for found in self._named(name)])
            elif parts[:4] == ["api", "datasets", "team", "corpus"]:
                self._json({"id": "team/corpus", "sha": COMMIT, "siblings": [], "private": True, "tags": []})
            elif parts[:4] == ["datasets", "team", "corpus", "resolve"]:
                self._file("/".join(parts[5:]))
            else:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

        def _named(self, name: str) -> list[dict[str, object]]:
            if name in hub.files:
                return [hub.entry(name)]
            return [_folder(name)] if any(each.startswith(f"{name}/") for each in hub.files) else []

        def _file(self, name: str) -> None:
            content = hub.files.get(name)
            if content is None:
                self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            elif hub.failures > 0:
                hub.failures -= 1
                self._send(503, b"{}")
            else:
                headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
                first, last = 0, len(content) - 1
                if wanted := self.headers.get("Range"):
                    begin, _, end = wanted.removeprefix("bytes=").partition("-")
                    first, last = int(begin), min(last, int(end or last))
                    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
                self._send(206 if wanted else 200, content[first : last + 1], headers)

        def _json(self, value: object) -> None:
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    return Handler
