"""A second S3 server: MinIO's S3 layer over a folder and a SQLite file."""

import os
import subprocess
from pathlib import Path

from tests.servers.seaweedfs import KEY, SECRET, free_ports, make_bucket
from tests.servers.shared import Answer, Process, ServerUnavailableError, answers, find


def start(directory: Path) -> tuple[Process, Answer]:
    """`juicefs gateway`, which keeps everything in its folder and reports to nobody."""
    program, meta = find("juicefs"), f"sqlite3://{directory}/meta.db"
    environment = os.environ | {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET, "HOME": str(directory)}
    command = [program, "format", "--no-agent", "--storage", "file", "--bucket", f"{directory}/data/", meta, "audio"]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if made.returncode:
        raise ServerUnavailableError(f"juicefs format says: {made.stderr[-300:]}")
    port, metrics = free_ports(2)
    places = ["--cache-dir", f"{directory}/cache", "--log", f"{directory}/gateway.log"]
    quiet = ["--no-agent", "--no-usage-report", "--no-banner", "--metrics", f"127.0.0.1:{metrics}"]
    command = [program, "gateway", meta, f"127.0.0.1:{port}", "--multi-buckets", *quiet, *places]
    process = Process(command, directory / "juicefs.log", environment)
    process.wait_until(lambda: answers(port))
    make_bucket(s3 := f"http://127.0.0.1:{port}")
    return process, {"s3": s3, "key": KEY, "secret": SECRET}
