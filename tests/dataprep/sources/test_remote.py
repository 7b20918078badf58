"""Sources behind URLs: a real S3 server and a web server on loopback, which fail now and then."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.dataprep.conftest import Preparation, corpus

from pretrain_api.spec.data import Source as SourceSpec
from pretrain_dataprep.augmentation.dictionary import read_dictionary
from pretrain_dataprep.errors import InputError, TemporaryError
from pretrain_dataprep.sources import retries
from pretrain_dataprep.sources.files import FileSource
from pretrain_dataprep.sources.interface import Document


class Server:
    """An S3 server, and how often it fails next."""

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self.failures = 0
        self.requests: list[str] = []
        self._application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _answer(self, environment: dict[str, Any], start: Callable[..., Any]) -> Any:
        self.requests.append(f"{environment['REQUEST_METHOD']} {environment['PATH_INFO']}")
        if self.failures > 0 and environment["REQUEST_METHOD"] == "GET":
            self.failures -= 1
            start("503 Slow Down", [("Content-Type", "text/plain")])
            return [b""]
        return self._application(environment, start)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 file system with an empty bucket `corpus`, and the environment that pods get."""
    import s3fs

    for name, value in s3_environment(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(retries, "_FIRST_DELAY_SECONDS", 0.0)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("corpus")
    yield system
    system.rm("corpus", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def s3_environment(server: Server) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        # The driver's own retries take seconds.
        "AWS_MAX_ATTEMPTS": "1",
    }


def source(uri: str, chunk_bytes: int | None = None, **fields: Any) -> FileSource:
    import s3fs

    # Every work item is a process of its own, with a listing of its own.
    s3fs.S3FileSystem.clear_instance_cache()
    return FileSource(SourceSpec(name="web", uri=uri, **fields), chunk_bytes=chunk_bytes)


def texts(files: FileSource) -> list[str]:
    return [r.text for chunk in files.chunks() for r in files.read(chunk) if isinstance(r, Document)]


def lines(texts: list[str]) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


def test_every_format_from_s3(bucket: Any, tmp_path: Path) -> None:
    wanted = [f"document {number}" for number in range(40)]
    pq.write_table(pa.table({"text": wanted}), tmp_path / "a.parquet", row_group_size=7)
    bucket.pipe("corpus/lines/a.jsonl", lines(wanted[:20]))
    bucket.pipe("corpus/lines/b.jsonl.gz", gzip.compress(lines(wanted[20:])))
    bucket.pipe("corpus/lines/.hidden.jsonl", b"{")
    bucket.pipe("corpus/table/a.parquet", (tmp_path / "a.parquet").read_bytes())
    assert texts(source("s3://corpus/lines")) == wanted
    assert texts(source("s3://corpus/lines/*.jsonl", 100)) == wanted[:20]
    assert texts(source("s3://corpus/table/a.parquet", 300)) == wanted
    chunk = source("s3://corpus/lines/").chunks()[0]
    assert (chunk.path, chunk.relative_path) == ("s3://corpus/lines/a.jsonl", "a.jsonl")


def test_a_dictionary_of_synonyms_from_s3(bucket: Any) -> None:
    bucket.pipe("corpus/synonyms.tsv.gz", gzip.compress(b"river\tstream\nstone\trock\n"))
    assert read_dictionary("s3://corpus/synonyms.tsv.gz") == {"river": ["stream"], "stone": ["rock"]}


def test_what_is_not_there(bucket: Any) -> None:
    for uri in ("s3://corpus/none.jsonl", "s3://corpus/*.jsonl", "s3://no-such-bucket/a.jsonl"):
        with pytest.raises(InputError, match=f"{uri.replace('*', '.')}: no such file"):
            source(uri).chunks()


def test_a_busy_server_is_asked_again(bucket: Any, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    bucket.pipe("corpus/a.jsonl", lines(["one", "two"]))
    files = source("s3://corpus/a.jsonl")
    (chunk,) = files.chunks()
    server.failures = 3
    assert [record.text for record in files.read(chunk) if isinstance(record, Document)] == ["one", "two"]
    assert server.failures == 0


def test_a_server_that_stays_busy_is_a_reason_to_try_later(
    bucket: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "ATTEMPTS", 2)
    bucket.pipe("corpus/a.jsonl", lines(["one"]))
    files = source("s3://corpus/a.jsonl")
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    (chunk,) = files.chunks()
    server.failures = 1000
    try:
        with pytest.raises(TemporaryError, match=r"s3://corpus/a\.jsonl: reading failed 2 times: .*; try again later"):
            list(files.read(chunk))
    finally:
        server.failures = 0


def test_a_changed_object_is_noticed(bucket: Any) -> None:
    bucket.pipe("corpus/a.jsonl", lines(["one"]))
    bucket.pipe("corpus/b.jsonl", lines(["two"]))
    files = source("s3://corpus/*.jsonl")
    first, second = files.chunks()
    before = [files.fingerprint(first), files.fingerprint(second)]
    bucket.pipe("corpus/a.jsonl", lines(["new"]))
    with pytest.raises(TemporaryError, match=r"s3://corpus/a\.jsonl: the file changed while it was read"):
        list(files.read(first))
    again = source("s3://corpus/*.jsonl")
    after = [again.fingerprint(chunk) for chunk in again.chunks()]
    assert (after[0] == before[0], after[1] == before[1]) == (False, True)


@pytest.mark.slow
def test_a_work_item_reads_s3_with_the_credentials_of_its_environment(
    bucket: Any, server: Server, preparation: Callable[..., Preparation]
) -> None:
    bucket.pipe("corpus/a.jsonl", lines(corpus(1, 30)))
    prepared = preparation(sources=[{"name": "web", "uri": "s3://corpus/*.jsonl"}], shards=1)
    prepared.environment.update(s3_environment(server))
    assert prepared.run("clean").code == 0
    assert "done already" in prepared.run("clean").log
    bucket.pipe("corpus/a.jsonl", lines(corpus(2, 30)))
    outcome = prepared.run("clean")
    assert "input s3://corpus/a.jsonl changed" in outcome.log
    prepared.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    outcome = prepared.run("clean")
    assert outcome.code == 75
    assert "s3://corpus/*.jsonl: listing failed 6 times" in outcome.message["message"]


class WebServer:
    """Files over HTTP, with ranges; fails when it is told to, also in the middle of an answer."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.failures = 0
        self.cut_answers = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(files))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _handler(self, files: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._send(with_body=False)

            def do_GET(self) -> None:
                self._send(with_body=True)

            def _send(self, with_body: bool) -> None:
                content = files.get(self.path)
                if server.failures > 0 or content is None:
                    self.send_response(404 if content is None else 503)
                    server.failures -= content is not None
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                first, last = 0, len(content) - 1
                if wanted := self.headers.get("Range"):
                    begin, _, end = wanted.removeprefix("bytes=").partition("-")
                    first, last = int(begin), min(last, int(end or last))
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
                else:
                    self.send_response(200)
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", f'"{hash(content)}"')
                self.send_header("Content-Length", str(last - first + 1))
                self.end_headers()
                if with_body:
                    body = content[first : last + 1]
                    if server.cut_answers > 0:
                        server.cut_answers -= 1
                        self.close_connection = True
                        body = body[: len(body) // 2]
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Quiet."""

        return Handler

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_files_from_the_web(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_DELAY_SECONDS", 0.0)
    wanted = [f"document {number}" for number in range(2000)]
    web = WebServer({"/a.jsonl": lines(wanted), "/b.jsonl.gz": gzip.compress(lines(wanted))})
    try:
        web.failures, web.cut_answers = 2, 0
        files = source(f"{web.url}/a.jsonl", 20_000)
        assert texts(files) == wanted
        web.cut_answers = 2
        assert texts(source(f"{web.url}/b.jsonl.gz")) == wanted
        assert web.cut_answers == 0
        with pytest.raises(InputError, match=r"none\.jsonl: no such file"):
            source(f"{web.url}/none.jsonl").chunks()
    finally:
        web.stop()


def test_missing_drivers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def missing(uri: str) -> None:
        raise ImportError("Install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(InputError, match=r"gs://b/a: Install gcsfs .*; install the drivers: pip install 'pretrain\[r"):
        source("gs://b/a").chunks()
