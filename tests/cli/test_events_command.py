"""`recordings events`: the feed on stdout, which continues after an interruption."""

import json
import re

import jsonschema_rs

from tests.cli.archive_files import delete, id_of
from tests.cli.conftest import CommandLine
from tests.cli.test_export_command import archive

__all__ = ["archive"]


def test_events_are_printed_and_continue(cli: CommandLine, archive: str) -> None:
    wanted = ("events", "--account", archive)
    ended = cli.run(*wanted)
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    types = {(line["subject"], line["type"].split(".")[-2]) for line in found}
    assert {(id_of(1), "stored"), (id_of(3), "trashed")} <= types
    place = re.search(r"continue with --since (\S+)", ended.stderr)
    assert place is not None
    delete(cli, archive, id_of(1))
    (line,) = cli.json(*wanted, "--since", place[1])
    assert (line["subject"], line["data"]["state"]) == (id_of(1), "TRASHED")
    assert cli.json(*wanted, "--since", line["cursor"], "--descendants") == []
    assert len(cli.json(*wanted, "--types", "recording.trashed")) == 2
    assert "callerIdNumber" in cli.json(*wanted, "--include", "PARTIES")[0]["data"]
    cli.run(*wanted, "--types", "x", expected=2)


def test_the_schemas_are_printed(cli: CommandLine) -> None:
    schemas = cli.json("event-schemas", "--public-url", "https://rec.example")
    for schema in schemas:
        jsonschema_rs.validator_for(schema)
    assert schemas[0]["$id"] == "https://rec.example/events/schemas/recording.requested.v1.json"
