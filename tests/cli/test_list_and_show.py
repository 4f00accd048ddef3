"""`recordings list` and `recordings show`: an operator sees why a recording failed, without GraphQL."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from graph.services import open_services
from graph.settings import load
from recordings.model.instants import DAY, to_iso
from recordings.model.options import RecordingOptions
from recordings.model.recording import Delivery, DeliveryState, Recording
from tests.cli.archive_files import WAV, delete, document, id_of, lines, loaded, name_of
from tests.cli.conftest import CommandLine


@pytest.fixture
def archive(cli: CommandLine, account: str, tmp_path: Path) -> str:
    """An account with a stored, a failed, a lost and a deleted recording, one hour after the other."""
    media = tmp_path / "media"
    media.mkdir()
    for number, content in ((1, WAV), (2, b"<html>"), (4, WAV)):
        (media / name_of(number)).write_bytes(content)
    stub = {"content_type": "audio/x-wav", "stub": True}
    file = tmp_path / "export.jsonl"
    start = document(1, account)["start"]
    documents = (
        document(number, account, start=start + 3_600 * number, _attachments={name_of(number): stub})
        for number in (1, 2, 3, 4)
    )
    file.write_bytes(lines(*documents))
    cli.run("import", file, "--account", account, "--media", media, expected=1)
    delete(cli, account, id_of(4))
    return account


def with_delivery(cli: CommandLine, number: int) -> None:
    async def save() -> None:
        async with open_services(load({}, {"data": str(cli.data)})) as services:
            before = await services.store.load(id_of(number))
            assert before is not None
            delivery = Delivery("d", DeliveryState.FAILED, None, 3, "the server answers 500")
            options = RecordingOptions(url="https://user:hidden@example.com/in?key=hidden")
            changed = replace(
                before, delivery=delivery, options=options, user_metadata={"case": 7}, revision=before.revision + 1
            )
            assert await services.store.save(changed, before.revision)

    asyncio.run(save())


def test_a_list_shows_states_reasons_audio_and_deliveries(cli: CommandLine, archive: str) -> None:
    with_delivery(cli, 1)
    lost, failed, stored = cli.json("list")
    assert [each["id"] for each in (lost, failed, stored)] == [id_of(3), id_of(2), id_of(1)]
    assert (stored["state"], stored["reason"], stored["audio"]["durationMs"]) == ("STORED", None, 1_000)
    assert (stored["audio"]["contentType"], stored["audio"]["place"]) == ("audio/x-wav", None)
    assert (stored["delivery"]["state"], stored["delivery"]["attempts"]) == ("FAILED", 3)
    assert stored["delivery"]["lastError"] == "the server answers 500"
    assert (failed["state"], failed["reason"], failed["audio"], failed["delivery"]) == (
        "FAILED",
        "NOT_AUDIO",
        None,
        None,
    )
    assert failed["reasonDetail"]
    assert (lost["state"], lost["reason"]) == ("LOST", "AUDIO_MISSING")
    assert lost["accountId"] == archive


def test_a_list_is_filtered_by_account_state_and_time(cli: CommandLine, archive: str) -> None:
    other = str(cli.json("account", "create", "Other")[0]["id"])

    def ids(*options: str) -> list[str]:
        return [each["id"] for each in cli.json("list", *options)]

    assert ids("--account", archive) == [id_of(3), id_of(2), id_of(1)]
    assert ids("--account", other) == []
    assert ids("--state", "failed", "--state", "LOST") == [id_of(3), id_of(2)]
    assert ids("--state", "TRASHED") == [id_of(4)]
    assert ids("--state", "STORED", "--state", "TRASHED") == [id_of(4), id_of(1)]
    assert ids("--reason", "not_audio") == [id_of(2)]
    assert ids("--reason", "NOT_AUDIO", "--reason", "AUDIO_MISSING", "--state", "LOST") == [id_of(3)]
    with_delivery(cli, 1)
    assert ids("--delivery", "failed") == [id_of(1)]
    assert ids("--delivery", "PENDING") == ids("--held") == []
    assert ids("--limit", "2") == [id_of(3), id_of(2)]
    (second,) = [each for each in cli.json("list") if each["id"] == id_of(2)]
    assert ids("--since", second["start"]) == [id_of(3), id_of(2)]
    assert ids("--since", "2024-03-12") == [id_of(3), id_of(2), id_of(1)]
    assert ids("--since", "24h") == []
    assert ids("--since", "999999d") == [id_of(3), id_of(2), id_of(1)]
    assert ids("--metadata", "case") == ids("--metadata", "case=7") == ids("--metadata", "case=7.0") == [id_of(1)]
    assert ids("--metadata", "case=8") == ids("--metadata", "case", "--metadata", "x") == []
    assert "--metadata 'a=" in cli.run("list", "--metadata", "a=" + "x" * 600, expected=2).stderr
    assert "there is no account" in cli.run("list", "--account", "ab" * 16, expected=1).stderr
    assert "is not a time: write a date" in cli.run("list", "--since", "yesterday", expected=2).stderr


def test_long_lists_are_read_page_by_page(cli: CommandLine, account: str, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    start = document(1, account)["start"]
    file.write_bytes(lines(*(document(number, account, start=start + number) for number in range(250))))
    cli.run("import", file, "--account", account)
    found = [each["id"] for each in cli.json("list", "--limit", "220")]
    assert found == [id_of(number) for number in range(249, 29, -1)]


@pytest.mark.usefixtures("archive")
def test_a_list_is_a_table_for_people(cli: CommandLine) -> None:
    with_delivery(cli, 1)
    heading, *rows = cli.run("list", "--format", "table").stdout.splitlines()
    assert heading.split() == ["START", "ID", "ACCOUNT", "STATE", "REASON", "AUDIO", "DELIVERY", "DETAIL"]
    assert [row.split()[3] for row in rows] == ["LOST", "FAILED", "STORED"]
    assert "1.0 s wav" in rows[2]
    assert "FAILED (3 tries): the server answers 500" in rows[2]
    assert "AUDIO_MISSING" in rows[0]


@pytest.mark.usefixtures("archive")
def test_one_recording_is_shown_with_its_files(cli: CommandLine) -> None:
    with_delivery(cli, 1)
    result = cli.run("show", id_of(1))
    shown = json.loads(result.stdout)
    assert Path(shown["audio"]["location"]).read_bytes() == WAV
    assert (shown["isImported"], shown["aside"], shown["from"]) == (True, [], "1001@acme.example.com")
    assert "hidden" not in result.output
    (failed,) = cli.json("show", id_of(2))
    assert (failed["state"], failed["reason"]) == ("FAILED", "NOT_AUDIO")
    (folder,) = failed["aside"]
    assert (Path(folder) / "body.wav").read_bytes() == b"<html>"
    (deleted,) = cli.json("show", id_of(4))
    assert (deleted["state"], deleted["trashedFrom"], deleted["trashedBy"]) == ("TRASHED", "STORED", "tester")
    recording = loaded(cli, [id_of(4)])[id_of(4)]
    assert isinstance(recording, Recording)
    assert recording.purge_at is not None
    assert deleted["purgeAt"] == to_iso(recording.purge_at)
    assert recording.purge_at > recording.modified + DAY
    table = cli.run("show", id_of(2), "--format", "table").stdout.splitlines()
    assert any(line.split() == ["reason", "NOT_AUDIO"] for line in table)


def test_what_an_operator_reads_is_in_the_trail(cli: CommandLine, archive: str) -> None:
    shown = cli.json("list", "--account", archive)
    cli.json("show", shown[0]["id"])
    read, listed = cli.json("audit", "list", "--account", archive, "--first", "2")
    assert (read["action"], read["object"], read["actor_kind"]) == ("READ", shown[0]["id"], "OPERATOR")
    assert (listed["action"], listed["details"]) == ("LIST", {"rows": len(shown)})


def test_an_unknown_recording_is_an_error(cli: CommandLine, account: str) -> None:
    assert account
    for identity in ("202403-x", "../../etc/passwd", ""):
        assert "there is no recording" in cli.run("show", identity, expected=1).stderr
