"""An archive whose audio files have wrong headers or are damaged: repaired, reported, and imported only once."""

from base64 import b64encode
from hashlib import md5
from pathlib import Path
from typing import Any

from recordings.model.recording import State
from tests.cli.archive_files import WAV, document, name_of
from tests.cli.conftest import CommandLine
from tests.cli.test_import_repairs import recordings, run

KILLED = WAV[:4] + bytes(4) + WAV[8:40] + bytes(4) + WAV[44:]
"""The sizes in its header are 0."""
TRUNCATED = WAV[:12_044]


def attached(number: int, account: str, data: bytes) -> dict[str, Any]:
    """Return a document with the length and the digest of the damaged file."""
    digest = "md5-" + b64encode(md5(data, usedforsecurity=False).digest()).decode()
    about = {"content_type": "audio/x-wav", "length": len(data), "digest": digest, "revpos": 2, "stub": True}
    return document(number, account, _attachments={name_of(number): about})


def test_a_repaired_file_is_imported_once_and_has_its_own_length(
    cli: CommandLine, account: str, tmp_path: Path
) -> None:
    for number, data in ((1, KILLED), (2, TRUNCATED)):
        (tmp_path / name_of(number)).write_bytes(data)
    documents = [attached(1, account, KILLED), attached(2, account, TRUNCATED)]
    summary, _ = run(cli, account, tmp_path, *documents)
    assert summary["with_audio"] == 2
    killed, truncated = recordings(cli, 1, 2)
    assert (killed.state, truncated.state) == (State.STORED, State.STORED)
    assert killed.media is not None
    assert truncated.media is not None
    assert (killed.media.length, killed.media.duration_ms, killed.media.damage) == (len(WAV), 1_000, None)
    assert (truncated.media.duration_ms, truncated.media.expected_ms) == (750, 1_000)
    cli.run("doctor", "--verify", "1", expected=0)

    again, _ = run(cli, account, tmp_path, *documents)
    assert (again["with_audio"], again["already_there"]) == (0, 2)
    assert recordings(cli, 1, 2) == [killed, truncated]
