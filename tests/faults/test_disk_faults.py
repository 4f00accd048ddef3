"""A full disk: a small file system in memory, filled to its last byte. It needs the right to mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import httpx
import pytest

from graph.demo.demo_account import DEMO_ACCOUNT
from tests.e2e.server import Server, command, until
from tests.e2e.sound import wav


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", disk], check=False).returncode:
        pytest.skip("no right to mount a file system")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> None:
    """Write until nothing more can be written, not even a small file."""
    for size in (1 << 20, 4_096):
        with (disk / "ballast").open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(os.urandom(size))


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_a_server_starts_on_a_full_disk_and_reads_plays_and_deletes(small_disk: Path, killed: bool) -> None:
    data = small_disk / "data"
    with Server(data, "--demo") as server:
        client = server.client(server.shown_token())
        ids = client.ids()
        for each in ids:
            client.wait_for(each, "STORED")
        server.kill() if killed else server.stop()
    fill(small_disk)
    server = Server(data)
    server.log = small_disk.with_name("server.log")
    server.output = small_disk.with_name("server.out")
    server.launch()
    try:
        readiness = until(
            lambda: found if (found := answer(server, "/readyz")) and "disk" in found.json()["parts"] else None
        )
        assert readiness.json()["parts"]["disk"] == "warning"
        issued = command("token", "--account", DEMO_ACCOUNT, data=data)
        assert issued.returncode == 0, issued.stderr
        client = server.client(issued.stdout.strip())
        assert sorted(client.ids()) == sorted(ids)
        played = client.http.get(f"/media/{ids[0]}")
        assert played.status_code == 200
        assert played.content
        assert client.do("deleteRecording", id=ids[0])["state"] == "TRASHED"
    finally:
        server.kill()


def answer(server: Server, path: str) -> httpx.Response | None:
    try:
        return httpx.get(f"{server.url}{path}", timeout=20)
    except httpx.TransportError:
        return None


def test_an_upload_to_a_full_disk_is_rejected_because_of_the_disk(small_disk: Path) -> None:
    data = small_disk / "data"
    server = Server(data)
    server.log = small_disk.with_name("server.log")
    server.output = small_disk.with_name("server.out")
    with server:
        command("account", "create", "Acme", data=data)
        created = command("account", "create", "Acme", data=data)
        account = created.stdout.split('"')[3]
        made = command("ingest", "create", "--account", account, data=data)
        path = made.stdout.split('"url": "')[-1].split('"')[0]
        address = f"{server.url}/{path.split('/', 3)[-1]}"

        def put(call_id: str) -> httpx.Response:
            content = wav(seconds=1)
            return httpx.put(f"{address}/call_recording_{call_id}.wav?call_id={call_id}", content=content, timeout=30)

        numbers = count()

        def rejected() -> httpx.Response | None:
            # The database may just have made a file of its own shorter.
            fill(small_disk)
            response = put(f"x{next(numbers)}")
            return response if response.status_code not in {200, 201} else None

        response = until(rejected)
        assert response.status_code == 503
        assert "disk" in response.json()["error"]["message"]
        (small_disk / "ballast").unlink()
        again = put("again")
        assert again.status_code in {200, 201}
