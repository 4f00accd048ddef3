"""`recordings doctor` and media stores that the installation used before."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from adapters.metadata.sqlite.sqlite_store import FILE
from graph.services import Services, open_services
from graph.settings import load
from recordings.model.recording import State
from tests.cli.conftest import CommandLine
from tests.contract.metadata.samples import recording as sample
from tests.support.old_installation import set_created


def prepare(cli: CommandLine, account: str, media: str) -> str:
    """Store audio of an account in a media store that is not the current one. Return the audio's URL."""

    async def work(services: Services) -> str:
        source = cli.data / "source"
        source.write_bytes(b"x")
        await services.store.note_location("https://user.example.org/?token=much-hidden", 0)
        await services.store.insert(sample(account_id=account, state=State.STORED))
        return await services.media.put(f"{account}/202611/202611-0a.mp3", str(source), "audio/mpeg")

    async def run() -> str:
        async with open_services(load({}, {"data": str(cli.data), "media": media})) as services:
            return await work(services)

    return asyncio.run(run())


def test_former_stores_are_examined_and_stores_without_a_listing_are_named(
    cli: CommandLine, account: str, tmp_path: Path
) -> None:
    url = prepare(cli, account, f"file://{tmp_path}/before")
    os.utime(url.removeprefix("file://"), (0, 0))
    result = cli.run("doctor", expected=1)
    assert f'"url": "{url}"' in result.stdout
    assert "1 found, 0 repaired" in result.stderr
    assert (
        "not listed: https://user.example.org/?token=***: this kind of store cannot list its objects" in result.stderr
    )
    refused = cli.run("doctor", "--repair-orphans", "1", expected=1)
    assert "it has audio that is older than the metadata store" in refused.stderr
    set_created(cli.data)
    assert "1 found, 0 repaired" in cli.run("doctor", "--repair", expected=1).stderr
    repair = cli.run("doctor", "--repair-orphans", "1")
    assert "1 found, 1 repaired" in repair.stderr
    assert not Path(url.removeprefix("file://")).exists()
    assert cli.run("doctor").stdout == ""


@pytest.mark.parametrize("command", ["doctor", "verify"])
def test_a_folder_without_an_installation_is_an_error(cli: CommandLine, command: str) -> None:
    result = cli.run(command, expected=1)
    assert f"there is no installation in {cli.data}" in result.stderr
    assert not cli.data.exists()


def test_a_lost_metadata_file_is_reported_by_commands(cli: CommandLine) -> None:
    cli.run("account", "create", "Acme")
    (cli.data / "media").mkdir()
    cli.run("account", "create", "Acme")
    assert json.loads((cli.data / "media.installation").read_text())["installation"]
    for file in cli.data.glob(f"{FILE}*"):
        file.unlink()
    assert "mark of another installation" in cli.run("account", "create", "Acme").stderr
