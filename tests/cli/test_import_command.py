"""`recordings import`: documents and audio are imported once, and a bad document does not affect the others."""

import asyncio
import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.rest_v2.recording.v2_document import to_v2
from adapters.spool import BodyWriter
from graph.cli.import_file import Importer
from graph.services import open_services
from graph.settings import load
from recordings.model.recording import Reason, Recording, State
from recordings.use_cases.import_recording import Result
from tests.cli.conftest import CommandLine
from tests.e2e.sound import wav

START = 63_877_497_832


def document(number: int, account: str, **others: Any) -> dict[str, Any]:
    name = f"{number:032x}.wav"
    defaults = {
        "_id": f"202403-{number:032x}",
        "_rev": "2-8c1f0e1b5a7d4f2e9b6c3a1d0f8e7c6b",
        "name": name,
        "description": f"recording {name}",
        "content_type": "audio/x-wav",
        "media_type": "wav",
        "from": "1001@acme.sip.example.com",
        "to": "+14155550123@acme.sip.example.com",
        "direction": "inbound",
        "start": START,
        "duration": 42,
        "duration_ms": 42_380,
        "call_id": f"call-{number}@10.26.0.91",
        "origin": "callflow : Front desk",
        "_attachments": {name: {"content_type": "audio/x-wav", "digest": "md5-x", "stub": True}},
        "pvt_type": "call_recording",
        "pvt_account_id": account,
        "pvt_created": START + 43,
        "pvt_modified": START + 43,
        "pvt_node": "kazoo_apps@app1.example.com",
    }
    return defaults | others


def written(path: Path, *lines: Any) -> Path:
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(texts) + b"\n")
    return path


def stored(cli: CommandLine, *ids: str) -> list[Recording | None]:
    async def load_all() -> list[Recording | None]:
        async with open_services(load({}, {"data": str(cli.data)})) as services:
            return [await services.store.load(identity) for identity in ids]

    return asyncio.run(load_all())


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / f"{1:032x}.wav").write_bytes(wav(seconds=1))
    (folder / f"{2:032x}.wav").write_bytes(b"this is no audio")
    return folder


def test_good_lines_are_imported_and_bad_lines_are_reported(
    cli: CommandLine, account: str, media: Path, tmp_path: Path
) -> None:
    good, unplayable, silent = (document(number, account) for number in (1, 2, 3))
    file = written(
        tmp_path / "export.jsonl",
        good,
        b"{not json",
        unplayable,
        b"",
        silent,
        document(4, "cd" * 16),
        document(5, account, start="yesterday"),
        document(6, account, pvt_deleted=True),
        document(7, account, _attachments={"../../secret.key": {}}),
        document(8, account, pvt_type="user"),
        document(9, account, custom_channel_vars={"a\0b": 1}),
        b'{"_id": NaN}',
        b"\xff\xfe",
        b"[" * 100_000,
        document(10, account, _id="../../etc"),
        good,
    )
    result = cli.run("import", file, "--account", account, "--media", media, expected=1)
    summary = json.loads(result.stdout)
    assert summary == {
        "documents": 15,
        "with_audio": 1,
        "without_audio": 0,
        "unplayable": 1,
        "later": 0,
        "missing": 1,
        "already_there": 1,
        "design": 0,
        "deleted": 1,
        "bad": 10,
        "line_numbers": {"bad": [2, 6, 7, 9, 10, 11, 12, 13, 14, 15], "missing": [5], "unplayable": [3]},
    }
    messages = [line for line in result.stderr.splitlines() if line.startswith("line ")]
    numbers = sorted(int(line.removeprefix("line ").split(":")[0]) for line in messages)
    assert numbers == [2, 3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15]
    assert "Traceback" not in result.output
    first, second, third = stored(cli, good["_id"], unplayable["_id"], silent["_id"])
    assert first is not None
    assert first.media is not None
    assert (first.state, first.media.duration_ms, first.account_id) == ("STORED", 1_000, account)
    assert (second is not None and second.state, second is not None and second.reason) == ("FAILED", "NOT_AUDIO")
    assert (third is not None and third.state, third is not None and third.reason) == ("LOST", "AUDIO_MISSING")
    assert third is not None
    assert third.media is None


def test_a_second_import_adds_audio_that_was_missing(
    cli: CommandLine, account: str, media: Path, tmp_path: Path
) -> None:
    file = written(tmp_path / "export.jsonl", document(1, account), document(3, account))
    cli.run("import", file, "--account", account)
    before = stored(cli, document(1, account)["_id"])[0]
    assert before is not None
    assert before.state == "LOST"
    (media / f"{3:032x}.wav").write_bytes(wav(seconds=2))
    assert cli.json("import", file, "--account", account, "--media", media)[0]["with_audio"] == 2
    again = cli.json("import", file, "--account", account, "--media", media)[0]
    assert (again["with_audio"], again["already_there"]) == (0, 2)
    after = stored(cli, document(3, account)["_id"])[0]
    assert after is not None
    assert after.media is not None
    assert (after.state, after.reason, after.media.duration_ms) == ("STORED", None, 2_000)
    # The spool is empty.
    assert list((cli.data / "spool").iterdir()) == []


def test_an_imported_document_is_shown_unchanged(cli: CommandLine, account: str, media: Path, tmp_path: Path) -> None:
    given = document(1, account, custom_channel_vars={"Account-ID": account, "$x.y": [1, None, 2.5, True]}, odd="ß\n")
    cli.run("import", written(tmp_path / "export.jsonl", given), "--account", account, "--media", media)
    (recording,) = stored(cli, given["_id"])
    assert recording is not None
    shown = to_v2(recording.to_row())
    public = {name: value for name, value in given.items() if not name.startswith(("_", "pvt_"))}
    assert list(shown.items()) == [*public.items(), ("id", given["_id"])]


def test_a_link_to_a_file_outside_the_folder_is_not_followed(cli: CommandLine, account: str, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    (tmp_path / "elsewhere.wav").write_bytes(wav(seconds=1))
    (folder / f"{1:032x}.wav").symlink_to(tmp_path / "elsewhere.wav")
    file = written(tmp_path / "export.jsonl", document(1, account))
    result = cli.run("import", file, "--account", account, "--media", folder, expected=1)
    assert "is outside the folder" in result.stderr
    assert stored(cli, document(1, account)["_id"]) == [None]


def test_an_existing_recording_is_not_overwritten(cli: CommandLine, account: str, tmp_path: Path) -> None:
    other = str(cli.json("account", "create", "Other")[0]["id"])
    file = written(tmp_path / "export.jsonl", document(1, account))
    cli.run("import", file, "--account", account)
    moved = written(tmp_path / "moved.jsonl", document(1, other))
    assert "there is another recording" in cli.run("import", moved, "--account", other, expected=1).stderr
    (existing,) = stored(cli, document(1, account)["_id"])
    assert existing is not None
    assert existing.account_id == account


def test_a_line_that_is_too_long_is_one_bad_line(cli: CommandLine, account: str, tmp_path: Path) -> None:
    file = written(tmp_path / "export.jsonl", b'{"_id": "' + b"x" * 9_000_000 + b'"}', document(3, account))
    summary = cli.json("import", file, "--account", account, expected=1)[0]
    assert (summary["documents"], summary["bad"], summary["without_audio"]) == (2, 1, 1)


@pytest.mark.usefixtures("account")
def test_an_unknown_account_is_an_error(cli: CommandLine, tmp_path: Path) -> None:
    file = written(tmp_path / "export.jsonl", document(1, "ab" * 16))
    assert "there is no account" in cli.run("import", file, "--account", "ab" * 16, expected=1).stderr


async def test_a_server_that_starts_during_an_import_does_not_claim_its_recordings(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_services(load({}, {"data": str(tmp_path / "data")})) as services:
        account = await services.accounts.create_account("Acme")
        file = written(tmp_path / "export.jsonl", document(1, account.id))
        take, render = services.importer.take, services.audio_workers.render
        claimed: list[Recording] = []

        async def start() -> None:
            await services.upkeep.recover()
            claimed.extend(await services.upkeep.claim(8))

        async def take_during_start(recording: Recording, **audio: Any) -> Result:
            # The audio is in the spool, but the recording has no row yet.
            with monkeypatch.context() as patched:
                patched.setattr(services.importer, "take", take)
                await start()
            monkeypatch.setattr(services.importer, "take", take)
            return await take(recording, **audio)

        async def render_during_start(*given: Any) -> Any:
            await start()
            return await render(*given)

        monkeypatch.setattr(services.importer, "take", take_during_start)
        monkeypatch.setattr(services.audio_workers, "render", render_during_start)
        summary = await Importer(services, account, media).run(file)
        assert (summary["with_audio"], summary["documents"]) == (1, 1)
        assert claimed == []
        found = await services.store.load(document(1, account.id)["_id"])
        assert found is not None
        assert (found.state, found.lease) == (State.STORED, None)


async def test_an_incomplete_file_is_not_stored(media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_services(load({}, {"data": str(tmp_path / "data")})) as services:
        account = await services.accounts.create_account("Acme")
        file = written(tmp_path / "export.jsonl", document(1, account.id))
        identity = document(1, account.id)["_id"]
        assert (await Importer(services, account, None).run(file))["without_audio"] == 1
        append = BodyWriter._append

        def fill_the_disk(self: BodyWriter, chunk: bytes) -> None:
            append(self, chunk[:8_000])
            raise OSError(errno.ENOSPC, "no space left")

        with monkeypatch.context() as patched:
            patched.setattr(BodyWriter, "_append", fill_the_disk)
            assert (await Importer(services, account, media).run(file))["bad"] == 1
        # The next server of this node finds the file and does not finalize it.
        await services.upkeep.recover()
        assert await services.upkeep.claim(8) == []
        assert (await Importer(services, account, media).run(file))["with_audio"] == 1
        found = await services.store.load(identity)
        assert found is not None
        assert found.media is not None
        assert (found.state, found.media.duration_ms) == (State.STORED, 1_000)


async def test_another_node_imports_the_recordings_of_a_dead_node(media: Path, tmp_path: Path) -> None:
    async with open_services(load({}, {"data": str(tmp_path / "data")})) as services:
        account = await services.accounts.create_account("Acme")
        file = written(tmp_path / "export.jsonl", document(1, account.id))
        assert (await Importer(services, account, None).run(file))["without_audio"] == 1
        before = await services.store.load(document(1, account.id)["_id"])
        assert before is not None
        gone = replace(before, node="gone", reason=Reason.RECORDER_GONE, revision=before.revision + 1)
        assert await services.store.save(gone, before.revision)
        assert (await Importer(services, account, media).run(file))["with_audio"] == 1


def test_an_import_sends_no_recording_to_its_url_again(
    cli: CommandLine, account: str, media: Path, tmp_path: Path
) -> None:
    sent = document(1, account, url="https://customer.example.com/calls", method="put")
    cli.run("import", written(tmp_path / "export.jsonl", sent), "--account", account, "--media", media)
    (found,) = stored(cli, sent["_id"])
    assert found is not None
    assert (found.state, found.options.url) == (State.STORED, "https://customer.example.com/calls")
    assert found.delivery is None
