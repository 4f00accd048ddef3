"""What the doctor says by the command line of places other than those of now."""

import asyncio
import os
from pathlib import Path

import pytest

from graph.services import Services, open_services
from graph.settings import load
from recordings.model.recording import State
from tests.cli.conftest import CommandLine
from tests.contract.metadata.samples import recording as sample


def prepare(cli: CommandLine, account: str, place: str) -> str:
    """An installation that once put audio of an account at a place, and left some there; its URL."""

    async def work(services: Services) -> str:
        source = cli.data / "source"
        source.write_bytes(b"x")
        await services.store.note_place("https://user.example.org/?token=much-hidden", 0)
        await services.store.insert(sample(account_id=account, state=State.STORED))
        return await services.media.put(f"{account}/202611/202611-0a.mp3", str(source), "audio/mpeg")

    async def run() -> str:
        async with open_services(load({}, {"data": str(cli.data), "media": place})) as services:
            return await work(services)

    return asyncio.run(run())


def test_former_places_are_examined_and_those_that_cannot_be_are_named(
    cli: CommandLine, account: str, tmp_path: Path
) -> None:
    url = prepare(cli, account, f"file://{tmp_path}/before")
    os.utime(url.removeprefix("file://"), (0, 0))
    ended = cli.run("doctor", expected=1)
    assert f'"url": "{url}"' in ended.stdout
    assert "1 found, 0 repaired" in ended.stderr
    assert "not listed: https://user.example.org/?token=***: it lists nothing, as web servers do" in ended.stderr
    repaired = cli.run("doctor", "--repair")
    assert "1 found, 1 repaired" in repaired.stderr
    assert not Path(url.removeprefix("file://")).exists()
    assert cli.run("doctor").stdout == ""


@pytest.mark.parametrize("command", ["doctor", "verify"])
def test_of_a_folder_without_an_installation_nothing_is_said_to_be_well(cli: CommandLine, command: str) -> None:
    ended = cli.run(command, expected=1)
    assert f"there is no installation in {cli.data}" in ended.stderr
    assert not cli.data.exists()
