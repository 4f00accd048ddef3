"""Keeps one server of a kind for a test run: `python -m tests.servers.run_server <kind> <directory>`."""

import sys
from pathlib import Path

from tests.servers import juicefs, nginx, seaweedfs
from tests.servers.shared import keep

KINDS = {"seaweedfs": seaweedfs.start, "juicefs": juicefs.start, "nginx": nginx.start}

if __name__ == "__main__":
    keep(Path(sys.argv[2]), KINDS[sys.argv[1]])
