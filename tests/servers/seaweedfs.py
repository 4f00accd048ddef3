"""SeaweedFS: S3 on one port, and on another port a file server that supports PUT, POST, DELETE and ranges."""

import json
import os
from pathlib import Path

import botocore.session

from tests.servers.free_ports import free_ports
from tests.servers.server_process import Process, answers, find_program
from tests.servers.shared_server import Address

KEY, SECRET, BUCKET = "recordings", "a secret of the tests", "audio"
LIMITED_KEY = "limited"
"""The key of an identity that may read, write and delete objects of the bucket, and not list them."""
_IDENTITIES = {
    KEY: ["Admin", "Read", "Write", "List", "Tagging"],
    LIMITED_KEY: [f"Read:{BUCKET}", f"Write:{BUCKET}"],
}


def start(directory: Path) -> tuple[Process, Address]:
    """Start `weed mini` without the parts that tests do not need. It uses only its folder and loopback."""
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
    options["s3.config"] = directory / "s3.json"
    identities = [
        {"name": key, "credentials": [{"accessKey": key, "secretKey": SECRET}], "actions": actions}
        for key, actions in _IDENTITIES.items()
    ]
    (directory / "s3.json").write_text(json.dumps({"identities": identities}))
    environment = os.environ | {"HOME": str(directory)}
    command = [find_program("weed"), "mini", *(f"-{name}={value}" for name, value in options.items())]
    process = Process(command, directory / "weed.log", environment)
    process.wait_until(lambda: answers(ports["s3"]) and answers(ports["filer"]))
    make_bucket(s3 := f"http://127.0.0.1:{ports['s3']}")
    return process, {"s3": s3, "filer": f"http://127.0.0.1:{ports['filer']}", "key": KEY, "secret": SECRET}


def make_bucket(endpoint: str) -> None:
    """Create the bucket that all tests share. Each test uses its own folder in it."""
    access = {"endpoint_url": endpoint, "aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    client = botocore.session.get_session().create_client("s3", region_name="us-east-1", **access)
    client.create_bucket(Bucket=BUCKET)
    client.close()
