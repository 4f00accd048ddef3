"""A second `recordings import` repairs recordings whose audio was missing or bad, and changes nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from recordings.model.recording import Reason, Recording, State
from tests.cli.archive_files import WAV, attachment, delete, document, id_of, lines, loaded, name_of, stored_audio, tone
from tests.cli.conftest import CommandLine

HTML = b"<html><body><h1>404 Not Found</h1></body></html>\n"


def run(
    cli: CommandLine, account: str, media: Path | None, *documents: dict[str, Any], expected: int = 0
) -> tuple[dict[str, Any], str]:
    """Import documents. Return the summary and stderr."""
    file = cli.data.with_name("export.jsonl")
    file.write_bytes(lines(*documents))
    options = () if media is None else ("--media", media)
    result = cli.run("import", file, "--account", account, *options, expected=expected)
    return json.loads(result.stdout), result.stderr


def recordings(cli: CommandLine, *numbers: int) -> list[Recording]:
    found = loaded(cli, [id_of(number) for number in numbers])
    return [recording for recording in found.values() if recording is not None]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with bad files, and one with the right ones. Files 1 and 2 are right in both."""
    bad, whole = tmp_path / "bad", tmp_path / "whole"
    bad.mkdir()
    whole.mkdir()
    for number in range(1, 9):
        (whole / name_of(number)).write_bytes(WAV)
    for number, content in enumerate((WAV, WAV, b"", HTML, WAV[:9_000], HTML, b""), 1):
        (bad / name_of(number)).write_bytes(content)
    return bad, whole


def archive(account: str) -> list[dict[str, Any]]:
    """Return eight documents. CouchDB noted no length for the last three, and the file of the last one is missing."""
    no_length = {"content_type": "audio/x-wav", "stub": True}
    return [
        document(number, account, **({} if number < 6 else {"_attachments": {name_of(number): no_length}}))
        for number in range(1, 9)
    ]


def test_the_second_run_changes_only_the_repaired_recordings(
    cli: CommandLine, account: str, folders: tuple[Path, Path]
) -> None:
    bad, whole = folders
    documents = archive(account)
    summary, stderr = run(cli, account, bad, *documents, expected=1)
    assert (summary["with_audio"], summary["unplayable"], summary["missing"], summary["bad"]) == (2, 5, 1, 0)
    assert summary["line_numbers"] == {"unplayable": [3, 4, 5, 6, 7], "missing": [8]}
    assert "has 9000 bytes, but the attachment has 16044" in stderr
    first = recordings(cli, *range(1, 9))
    assert [each.state for each in first[:2]] == [State.STORED, State.STORED]
    for number, each in enumerate(first[2:], 3):
        assert each.state in {State.LOST, State.FAILED, State.DISCARDED}
        assert each.reason_detail or each.reason
        assert f"line {number}: " in stderr

    # The same files again: nothing changes, and the report is the same.
    again, _ = run(cli, account, bad, *documents, expected=1)
    assert again == summary | {"with_audio": 0, "already_there": 2}
    assert recordings(cli, *range(1, 9)) == first

    # Right files: all others are repaired.
    repaired, stderr = run(cli, account, whole, *documents)
    assert (repaired["with_audio"], repaired["already_there"]) == (6, 2)
    after = recordings(cli, *range(1, 9))
    assert after[:2] == first[:2]
    for each in after:
        assert each.media is not None
        assert (each.state, each.reason, each.reason_detail) == (State.STORED, None, None)
        assert each.media.duration_ms == 1_000
        assert each.ended == first[0].ended
    assert list((cli.data / "spool").iterdir()) == []

    # A third run changes nothing.
    assert run(cli, account, whole, *documents)[0]["already_there"] == 8
    assert recordings(cli, *range(1, 9)) == after


def test_the_digest_of_the_attachment_is_compared(cli: CommandLine, account: str, folders: tuple[Path, Path]) -> None:
    _, media = folders
    other = tone(hertz=1_000)
    assert len(other) == len(WAV)
    for number, about in (
        (1, attachment(WAV)),
        (2, attachment(other)),
        # CouchDB compressed the attachment: the digest is that of other bytes.
        (3, attachment(WAV) | {"digest": attachment(other)["digest"], "encoding": "gzip", "encoded_length": 7}),
        (4, attachment(WAV) | {"digest": "sha1-xyz", "length": str(len(WAV))}),
        (5, attachment(WAV) | {"digest": "md5-AAAA", "length": None}),
    ):
        expected = 1 if number == 2 else 0
        _, stderr = run(
            cli, account, media, document(number, account, _attachments={name_of(number): about}), expected=expected
        )
        assert ("its MD5 digest is md5-" in stderr) is (number == 2)
    states = [each.state for each in recordings(cli, 1, 2, 3, 4, 5)]
    assert states == [State.STORED, State.LOST, State.STORED, State.STORED, State.STORED]
    (lost,) = recordings(cli, 2)
    assert (lost.reason, lost.media) == (Reason.AUDIO_MISSING, None)
    assert "is not the audio of this document: its MD5 digest is md5-" in str(lost.reason_detail)


def test_a_deleted_recording_is_not_repaired(cli: CommandLine, account: str, folders: tuple[Path, Path]) -> None:
    bad, whole = folders
    given = archive(account)[5]
    run(cli, account, bad, given, expected=1)
    delete(cli, account, given["_id"])
    summary, _ = run(cli, account, whole, given)
    assert (summary["already_there"], summary["with_audio"]) == (1, 0)
    (recording,) = recordings(cli, 6)
    assert (recording.state, recording.trashed_from) == (State.TRASHED, State.FAILED)


def test_missing_audio_has_an_exit_code_of_its_own(cli: CommandLine, account: str, folders: tuple[Path, Path]) -> None:
    bad, _ = folders
    summary, stderr = run(cli, account, bad, document(1, account), document(9, account), expected=3)
    assert (summary["missing"], summary["line_numbers"]) == (1, {"missing": [2]})
    assert f"line 2: missing: {id_of(9)}: there is no file '{name_of(9)}' in the folder for --media" in stderr
    (recording,) = recordings(cli, 9)
    assert (recording.state, recording.reason) == (State.LOST, Reason.AUDIO_MISSING)
    assert recording.reason_detail == f"there is no file '{name_of(9)}' in the folder for --media"
    # Without a folder, and without attachments, nothing is missing.
    assert run(cli, account, None, document(10, account))[0]["without_audio"] == 1
    assert run(cli, account, bad, document(11, account, _attachments=...))[0]["without_audio"] == 1


def test_a_failed_recording_is_repaired_and_the_bad_file_is_kept(
    cli: CommandLine, account: str, folders: tuple[Path, Path]
) -> None:
    bad, whole = folders
    given = archive(account)[5]
    run(cli, account, bad, given, expected=1)
    (failed,) = recordings(cli, 6)
    assert failed.state is State.FAILED
    assert failed.source_sha256 is not None
    run(cli, account, whole, given)
    (repaired,) = recordings(cli, 6)
    assert stored_audio(cli, repaired) == WAV
    # The bad file is still there for the operator.
    assert (cli.data / "aside" / given["_id"] / "body.wav").read_bytes() == HTML
