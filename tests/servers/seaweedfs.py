"""A real object store: S3 on one port, and on another one a file server that takes PUT, POST, DELETE and ranges."""

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import botocore.session

from tests.servers.shared import Answer, Process, answers, find

KEY, SECRET, BUCKET = "recordings", "a secret of the tests", "audio"


def start(directory: Path) -> tuple[Process, Answer]:
    """`weed mini` with everything off that is not needed, and nothing outside its folder and loopback."""
    names = ("s3", "filer", "volume", "master")
    ports = dict(zip([*names, *(f"{name}.grpc" for name in names), "admin", "admin.grpc"], free_ports(10), strict=True))
    options = {
        "dir": directory / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "filer.localSocket": directory / "filer.sock",
        "s3.localSocket": directory / "s3.sock",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "webdav": "false",
        "admin.ui": "false",
        "admin.port": ports["admin"],
        "admin.port.grpc": ports["admin.grpc"],
        "master.telemetry": "false",
    }
    options |= {f"{name}.port": ports[name] for name in names}
    options |= {f"{name}.port.grpc": ports[f"{name}.grpc"] for name in names}
    (directory / "data").mkdir()
    environment = os.environ | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "HOME": str(directory)}
    command = [find("weed"), "mini", *(f"-{name}={value}" for name, value in options.items())]
    process = Process(command, directory / "weed.log", environment)
    process.wait_until(lambda: answers(ports["s3"]) and answers(ports["filer"]))
    make_bucket(s3 := f"http://127.0.0.1:{ports['s3']}")
    return process, {"s3": s3, "filer": f"http://127.0.0.1:{ports['filer']}", "key": KEY, "secret": SECRET}


def make_bucket(endpoint: str) -> None:
    """Make the bucket that all tests share, each in a folder of its own."""
    given = {"endpoint_url": endpoint, "aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    client = botocore.session.get_session().create_client("s3", region_name="us-east-1", **given)
    client.create_bucket(Bucket=BUCKET)
    client.close()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    with ExitStack() as opened:
        probes = [opened.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
