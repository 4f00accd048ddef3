"""`recordings import`, run again after an imported recording was deleted: it stays deleted, without an error."""

import asyncio
import json
from pathlib import Path

from graph.services import open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Principal
from recordings.model.recording import State
from tests.cli.conftest import CommandLine


def test_a_purged_recording_is_not_imported_again(cli: CommandLine, account: str, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    stored = [{"_id": f"202403-{number:032x}", "pvt_type": "call_recording", "from": "1001@x"} for number in (1, 2)]
    file.write_text("".join(json.dumps(each) + "\n" for each in stored))
    assert cli.json("import", file, "--account", account)[0]["without_audio"] == 2

    async def purge() -> State:
        async with open_services(load({}, {"data": str(cli.data)})) as services:
            principal = Principal(account, frozenset(DEFAULT_SCOPES), None, "tester")
            deleted = await services.recordings.delete(principal, stored[0]["_id"], window=0)
            while deleted.state is not State.PURGED:
                (claimed,) = await services.upkeep.claim(1)
                deleted = await services.upkeep.step(claimed)
            assert deleted.imported is None
            return deleted.state

    asyncio.run(purge())
    summary = cli.json("import", file, "--account", account)[0]
    assert (summary["already_there"], summary["bad"]) == (2, 0)

    other = cli.json("account", "create", "Other")[0]["id"]
    stderr = cli.run("import", file, "--account", other, expected=1).stderr
    assert stderr.count("there is another recording") == 2
