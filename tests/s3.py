"""An S3 server of moto's, over HTTP."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import boto3
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
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "shop",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    try:
        with patch.dict(os.environ, environment):
            # Servers of one process share what they hold.
            httpx.post(f"{environment['AWS_ENDPOINT_URL']}/moto-api/reset").raise_for_status()
            boto3.client("s3").create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
            yield S3(server, environment)
    finally:
        server.stop()
