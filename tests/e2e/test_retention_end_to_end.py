"""The commands of an operator while a server runs: retention rules, media stores of accounts, and the doctor."""

import json
import os
import pty
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.demo.demo_account import DEMO_ACCOUNT
from tests.e2e.server import PROGRAM, SECONDS, Client, Server, command, environment, until
from tests.servers.shared_server import Address
from tests.support.old_installation import set_created


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server for one test, because these tests damage its data."""
    with Server(tmp_path / "data", "--demo", "--private-hosts", "127.0.0.1") as server:
        yield server


@pytest.fixture
def client(server: Server) -> Client:
    return server.client(server.shown_token())


def run(server: Server, *words: str | Path, expected: int = 0) -> list[Any]:
    """Run a command and return its output, one JSON value for each line."""
    ended = command(*words, data=server.data, seconds=SECONDS, RECORDINGS_PRIVATE_HOSTS="127.0.0.1")
    assert ended.returncode == expected, ended.stderr
    assert "Traceback" not in ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_a_retention_rule_deletes_expired_recordings_without_a_legal_hold(server: Server, client: Client) -> None:
    recordings = "{ recordings(first: 9) { nodes { plainId start deleteAt hold { reason } } } }"
    newest, *_, held = client.graphql(recordings)["recordings"]["nodes"]
    token = command("token", "--account", DEMO_ACCOUNT, "--scope", "admin", data=server.data).stdout.strip()
    assert server.client(token).mutate("holdRecording", id=held["plainId"], reason="a case")["errors"] == []
    rule = ("retention", "set", "--account", DEMO_ACCOUNT, "--days", "2")
    *days, dry = run(server, *rule, "--dry-run")
    assert sum(day["recordings"] for day in days) == 5
    assert dry == {
        "account": DEMO_ACCOUNT, "label": None, "days": 2, "dry_run": True, "recordings": 5, "changed": 5,
        "deleted_at_once": 1, "kept_for_good": 0, "on_hold": 1,
    }  # fmt: skip
    assert {node["deleteAt"] for node in client.graphql(recordings)["recordings"]["nodes"]} == {None}
    assert run(server, *rule) == [
        {"account": DEMO_ACCOUNT, "label": None, "days": 2, "dry_run": False, "state": "RUNNING"}
    ]
    progress = ("retention", "progress", "--account", DEMO_ACCOUNT)
    done = until(lambda: found if (found := run(server, *progress)[0])["state"] == "FINISHED" else None)
    assert (done["recordings"], done["checked"], done["changed"], done["deleted_at_once"]) == (5, 5, 5, 1)
    assert run(server, "retention", "list", "--account", DEMO_ACCOUNT) == [
        {"account": DEMO_ACCOUNT, "label": None, "days": 2}
    ]
    until(lambda: len(client.ids(trashed=True)) == 1)
    left = {node["plainId"]: node for node in client.graphql(recordings)["recordings"]["nodes"]}
    assert len(left) == 4
    assert left[held["plainId"]]["deleteAt"] < left[newest["plainId"]]["deleteAt"]
    cleared = run(server, "retention", "clear", "--account", DEMO_ACCOUNT, "--wait")[-1]
    assert (cleared["changed"], cleared["kept_for_good"]) == (4, 4)


def test_the_doctor_finds_and_repairs_damage(server: Server, client: Client) -> None:
    client.wait_for(client.ids()[0], "STORED")
    until(lambda: command("doctor", "--verify", "1", data=server.data).returncode == 0)
    audio = sorted(path for path in (server.data / "media").rglob("*") if path.is_file())
    assert len(audio) == 5
    gone, changed, cut = (path.stem for path in audio[:3])
    audio[0].unlink()
    data = audio[1].read_bytes()
    audio[1].write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.truncate(audio[2], 10)
    orphan = audio[3].with_name(f"{audio[3].stem[:6]}-{uuid.uuid4().hex}.mp3")
    orphan.write_bytes(b"nobody's")
    os.utime(orphan, (time.time() - 200_000,) * 2)
    wrong = {("MISSING_AUDIO", gone), ("WRONG_LENGTH", cut), ("ORPHAN_AUDIO", orphan.stem)}
    seen = run(server, "doctor", expected=1)
    assert {(each["problem"], each["recording"]) for each in seen} == wrong
    assert not any(each["repaired"] for each in seen)
    verified = run(server, "verify", "--all", expected=1)
    assert ("WRONG_HASH", changed) in {(each["problem"], each["recording"]) for each in verified}
    set_created(server.data)
    repaired = run(server, "doctor", "--repair", "--repair-orphans", "1", expected=1)
    assert {each["problem"] for each in repaired if each["repaired"]} == {"MISSING_AUDIO", "ORPHAN_AUDIO"}
    assert client.find(gone)["state"] == "LOST"
    assert not orphan.exists()
    audio[2].unlink()
    audio[1].write_bytes(data)
    assert [each["repaired"] for each in run(server, "doctor", "--repair", "--verify", "1")] == [True]
    assert run(server, "verify", "--sample", "0.5") == []


def test_the_doctor_shows_progress_on_a_terminal_and_results_on_stdout(server: Server) -> None:
    screen, terminal = pty.openpty()
    try:
        ended = subprocess.run(
            [*PROGRAM, "doctor"],
            env=environment(RECORDINGS_DATA=str(server.data), TERM="xterm"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=terminal,
            timeout=SECONDS,
            check=False,
        )
        shown = os.read(screen, 65_536).decode()
    finally:
        os.close(terminal)
        os.close(screen)
    assert "recordings" in shown
    assert "objects" in shown
    assert all(json.loads(line) for line in ended.stdout.splitlines())
    assert b"\x1b" not in ended.stdout


def test_an_account_can_have_its_own_media_store(server: Server, client: Client, seaweedfs: Address) -> None:
    place = f"{seaweedfs['filer']}/accounts/{uuid.uuid4().hex}"
    (account,) = run(server, "account", "set", DEMO_ACCOUNT, "--media", place, "--name", "Acme")
    assert (account["media"], account["name"]) == (place, "Acme")
    before = client.ids()
    with server.call() as call:
        identity = client.start(call.id)["plainId"]
        time.sleep(1)
        client.do("stopRecording", id=identity)
        stored = client.wait_for(identity, "STORED")
    played = client.http.get(stored["media"]["url"])
    assert (played.status_code, len(played.content)) == (200, stored["media"]["length"])
    there = client.http.get(f"{place}/{DEMO_ACCOUNT}/{identity[:6]}/{identity}.mp3")
    assert there.content == played.content
    # Audio that was stored earlier keeps its location.
    for other in before:
        assert client.http.get(client.find(other)["media"]["url"]).status_code == 200
    assert run(server, "account", "set", DEMO_ACCOUNT, "--media", "")[0]["media"] is None


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("http://127.0.0.1:1/audio", 1, "cannot store audio"),
        ("http://10.1.2.3/audio", 1, "no public address"),
        ("surely/not", 2, "an absolute URL without user, password"),
        ("nothing://there/audio", 1, "cannot store audio"),
        ("file:///proc/audio", 1, "cannot store audio"),
    ],
)
def test_a_media_store_that_does_not_work_is_rejected(tmp_path: Path, place: str, code: int, said: str) -> None:
    data = tmp_path / "data"
    account = json.loads(command("account", "create", "Acme", data=data).stdout)["id"]
    variables = {"RECORDINGS_PRIVATE_HOSTS": "127.0.0.1"}
    ended = command("account", "set", account, "--media", place, data=data, seconds=SECONDS, **variables)
    assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr
    assert said in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
    assert json.loads(command("account", "list", data=data).stdout)["media"] is None
