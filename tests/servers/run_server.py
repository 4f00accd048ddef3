"""Run one server of a kind for a test run: `python -m tests.servers.run_server <kind> <directory>`."""

import sys
from importlib import import_module
from pathlib import Path

from tests.servers.shared_server import keep

if __name__ == "__main__":
    keep(Path(sys.argv[2]), import_module(f"tests.servers.{sys.argv[1]}").start)
