"""nginx in front of three servers, configured as in deploy/nginx/recordings.conf."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.servers.free_ports import free_port
from tests.servers.nginx import binary
from tests.servers.server_process import Process, answers

FILE = Path(__file__).parents[2] / "deploy" / "nginx" / "recordings.conf"


class Balancer(NamedTuple):
    """A running nginx and its URL."""

    process: Process
    url: str


def start_balancer(folder: Path, ports: Sequence[int]) -> Balancer:
    """Start nginx in front of servers. At least one of them must be running."""
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, port, ports))
    process = Process([binary(), "-p", str(folder), "-c", str(file), "-e", "stderr"], folder / "nginx.log")
    process.wait_until(lambda: answers(port, "/healthz"))
    return Balancer(process, f"http://127.0.0.1:{port}")


def configuration(folder: Path, port: int, ports: Sequence[int]) -> str:
    """Return the configuration in deploy/, with the addresses of this test and without TLS."""
    text = FILE.read_text()
    servers = "".join(f"    server 127.0.0.1:{each} max_fails=1 fail_timeout=2s;\n" for each in ports)
    text, count = re.subn(r"(    server 10\.0\.0\.\d:8000 [^\n]*\n)+", servers, text)
    assert count == 1
    # The servers of the tests drain for one second only.
    text = text.replace("keepalive_timeout 4s;", "keepalive_timeout 300ms;")
    text = re.sub(r"server {\n    listen 80;.*?\n}\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^ *ssl_.*\n", "", text, flags=re.MULTILINE)
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    paths = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{ worker_connections 512; }}\n"
        f"http {{ access_log off; {paths}\n{text} }}"
    )
