"""A local S3 server that may misbehave, and the environment that leads s3fs and Arrow to it."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import s3fs
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "events"

# What the server answers a request (method, path) with, in place of what it should; or None.
Fault = Callable[[str, str], tuple[str, str] | None]


class S3Server:
    """The server; `environment` has the variables that name it, `fault` may be set at any time."""

    def __init__(self) -> None:
        self.fault: Fault = lambda method, path: None
        self.requests: list[tuple[str, str]] = []
        self._serve = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, True, request_handler=_Silent)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.port}",
            "AWS_ACCESS_KEY_ID": "key-of-the-test",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        urlopen(Request(f"{self.environment['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST"))
        client = s3fs.S3FileSystem(
            key=self.environment["AWS_ACCESS_KEY_ID"],
            secret=self.environment["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            skip_instance_cache=True,
        )
        client.mkdir(BUCKET)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        asked = request["REQUEST_METHOD"], request["PATH_INFO"]
        self.requests.append(asked)
        if answer := self.fault(*asked):
            status, code = answer
            request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))
            told = f"<Error><Code>{code}</Code><Message>{code} here</Message></Error>".encode()
            start(status, [("Content-Type", "text/xml"), ("Content-Length", str(len(told)))])
            return [told]
        return self._serve(request, start)


class _Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """Serve an empty bucket, `BUCKET`."""
    server = S3Server()
    try:
        yield server
    finally:
        server.stop()
