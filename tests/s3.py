"""A local S3 server, and the environment that leads s3fs and Arrow to it."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.error import URLError
from urllib.request import urlopen

import s3fs

BUCKET = "events"


@contextlib.contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Serve an empty bucket, `BUCKET`; yield the variables that name the server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key-of-the-test",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        for _ in range(100):
            with contextlib.suppress(URLError):
                urlopen(url)
                break
            time.sleep(0.2)
        else:
            raise AssertionError(f"no S3 server at {url}")
        client = s3fs.S3FileSystem(
            key=environment["AWS_ACCESS_KEY_ID"],
            secret=environment["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=url,
        )
        client.mkdir(BUCKET)
        yield environment
    finally:
        server.terminate()
        server.wait()
