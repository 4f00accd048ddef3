"""A second S3 server: MinIO's S3 layer on a folder and a SQLite file."""

import os
import subprocess
from pathlib import Path

from tests.servers.free_ports import free_ports
from tests.servers.seaweedfs import KEY, SECRET, make_bucket
from tests.servers.server_process import Process, ServerUnavailableError, answers, find_program
from tests.servers.shared_server import Address


def start(directory: Path) -> tuple[Process, Address]:
    """Start `juicefs gateway`. It stores everything in its folder and sends no usage reports."""
    program, meta = find_program("juicefs"), f"sqlite3://{directory}/meta.db"
    environment = os.environ | {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET, "HOME": str(directory)}
    command = [program, "format", "--no-agent", "--storage", "file", "--bucket", f"{directory}/data/", meta, "audio"]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if made.returncode:
        raise ServerUnavailableError(f"juicefs format failed: {made.stderr[-300:]}")
    port, metrics = free_ports(2)
    paths = ["--cache-dir", f"{directory}/cache", "--log", f"{directory}/gateway.log"]
    quiet = ["--no-agent", "--no-usage-report", "--no-banner", "--metrics", f"127.0.0.1:{metrics}"]
    command = [program, "gateway", meta, f"127.0.0.1:{port}", "--multi-buckets", *quiet, *paths]
    process = Process(command, directory / "juicefs.log", environment)
    process.wait_until(lambda: answers(port))
    make_bucket(s3 := f"http://127.0.0.1:{port}")
    return process, {"s3": s3, "key": KEY, "secret": SECRET}
