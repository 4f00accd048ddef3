"""Files and folders in the data folder that the service did not make: it works, leaves them alone and names them."""

import json
from pathlib import Path

import httpx

from tests.e2e.installation import make_account, make_ingest
from tests.e2e.server import Server, command, until
from tests.e2e.sound import wav

FOLDERS = ("", "spool", "aside", "media", "work", "renditions", "delivery")
NAMES = {"lost+found", ".notes.txt.swp", "#recordings.sqlite3#", "caf\udce9", "link"}


def add_entries(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lost+found").mkdir()
    (folder / "lost+found" / "#123").write_text("x")
    (folder / "lost+found").chmod(0)
    for name in (".notes.txt.swp", "#recordings.sqlite3#", "caf\udce9"):
        (folder / name).write_text("x")
    (folder / "link").symlink_to("/nowhere")


def test_entries_of_others_in_all_folders(data: Path) -> None:
    for folder in FOLDERS:
        add_entries(data / folder)
    with Server(data) as server:
        client = server.client(make_account(data))
        address = f"{server.url}{make_ingest(data)}/call_recording_a.wav?call_id=a"
        identity = httpx.put(address, content=wav(seconds=1), timeout=30).json()["id"]
        client.wait_for(identity, "STORED")
        assert client.http.get(f"/media/{identity}?format=mp3").status_code == 200
        examined = command("doctor", "--repair", "--repair-orphans", "100", data=data)
        assert (examined.returncode, examined.stdout) == (0, ""), examined.stderr
        expected = {str(data / folder / name) for folder in ("", "spool", "aside") for name in NAMES}
        # A folder in `aside` counts as that of a recording, which may be unknown.
        expected.remove(str(data / "aside" / "lost+found"))
        until(lambda: expected <= logged(server))
        assert server.stop() == 0
    server.start().__exit__()
    for folder in FOLDERS:
        assert {path.name for path in (data / folder).iterdir()} >= NAMES, folder
    # A terminal shows a name that is not UTF-8 in another way.
    assert [path for path in expected if path.replace("\udce9", "") not in examined.stderr] == []


def logged(server: Server) -> set[str]:
    """Return the entries that the log names."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return {line["path"] for line in lines if line["event"] == "unknown entry left alone"}
