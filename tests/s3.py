"""An S3 server of moto's, over HTTP."""

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import httpx
from moto.server import ThreadedMotoServer

BUCKET = "bundles"


@dataclass(frozen=True)
class S3:
    """A running server, and what a client of it needs in its environment."""

    server: ThreadedMotoServer
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """A prefix of its bucket."""
        return f"s3://{BUCKET}/shop"


@contextmanager
def s3_server() -> Generator[S3]:
    """Have a server run with a bucket, and the environment of this process lead to it."""
    # It logs every request, also after a test's output was closed.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "shop",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        with patch.dict(os.environ, environment):
            # Servers of one process share what they hold.
            httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()
            httpx.put(f"{endpoint}/{BUCKET}").raise_for_status()
            yield S3(server, environment)
    finally:
        server.stop()
