"""Checks with JavaScript tools. Without Node they are skipped, except in CI, where they fail."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
from graphql import build_schema, print_schema

from graph.execution.trusted_documents import read_trusted
from graph.graphql_app import GraphQLSettings
from graph.schema.build import sdl
from graph.schema.global_id import global_id
from tests.node.live_server import run, served
from tests.node.packages import installed_packages
from tests.support.memory_installation import ACCOUNT

HERE: Final = Path(__file__).parent
REPOSITORY: Final = HERE.parents[1]
COMMITTED: Final = REPOSITORY / "schema.graphql"
EDITOR: Final = REPOSITORY / "scripts" / "graphiql"
CONSOLE: Final = REPOSITORY / "scripts" / "console"
EXCEPTIONS: Final = {
    # Entries and events are read as pages only, in one direction, and events after a place in the feed.
    ("relay-edge-types", "type AuditEntryEdge"),
    # The usual word, as in the v2 API.
    ("no-typename-prefix", "username: String!"),
    # They belong to an account, and no client reads one of them alone.
    ("relay-edge-types", "type ApiKeyEdge"),
    ("relay-edge-types", "type IngestAddressEdge"),
    ("relay-edge-types", "type UserEdge"),
    ("relay-edge-types", "type RecordingEventEdge"),
    # A webhook has no global id: nothing else refers to it.
    ("relay-edge-types", "type WebhookEdge"),
    ("relay-arguments", "auditLog"),
    ("relay-arguments", "recordingEvents"),
}
"""The findings of eslint that are accepted: the rule, and the line of the schema."""


async def test_the_graphql_over_http_audit_passes(folder: Path, tmp_path: Path) -> None:
    async with served(tmp_path / "installation") as (url, _):
        said = await run(folder, "node", "audit.mjs", url, "me")
    assert json.loads(said.splitlines()[-1]) == {"ok": 61, "of": 61}, said


async def test_eslint_has_no_other_findings_in_the_schema(folder: Path) -> None:
    said = await run(folder, "node_modules/.bin/eslint", "-f", "json", "schema.graphql", expected=1)
    lines = (folder / "schema.graphql").read_text(encoding="utf-8").splitlines()
    found = {(each["ruleId"].partition("/")[2], lines[each["line"] - 1].strip("( {")) for each in _messages(said)}
    assert found == EXCEPTIONS


def _messages(said: str) -> list[dict[str, Any]]:
    (report,) = json.loads(said)
    messages: list[dict[str, Any]] = report["messages"]
    return messages


async def walk(folder: Path, installation: Path, settings: GraphQLSettings | None = None) -> None:
    """Page through a live server with the compiled queries."""
    async with served(installation, 11, settings) as (url, ids):
        said = await run(folder, "node", "paging.mjs", url, "me", global_id("Account", ACCOUNT))
    walked: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert walked == {"forward": ids, "backward": ids, "pages": 3}


async def test_relay_queries_compile_and_page_in_both_directions(folder: Path, tmp_path: Path) -> None:
    (folder / "compiled").mkdir()
    await run(folder, "node_modules/.bin/relay-compiler", "relay.config.json")
    await walk(folder, tmp_path / "installation")


async def test_relay_pages_with_trusted_documents_only(folder: Path, tmp_path: Path) -> None:
    (folder / "compiled").mkdir()
    (folder / "documents.json").write_text("{}", encoding="utf-8")
    await run(folder, "node_modules/.bin/relay-compiler", "relay.persisted.json")
    trusted = read_trusted(folder / "documents.json")
    assert [len(document.id or "") for document in trusted] == [32, 32]
    await walk(folder, tmp_path / "installation", GraphQLSettings(trusted=trusted, only_trusted=True))


async def test_a_removed_field_is_detected(folder: Path) -> None:
    inspector = "node_modules/.bin/graphql-inspector"
    (folder / "committed.graphql").write_bytes(COMMITTED.read_bytes())
    await run(folder, inspector, "diff", "committed.graphql", "schema.graphql")
    broken = build_schema(sdl())
    del broken.type_map["Recording"].fields["revision"]  # type: ignore[attr-defined]
    (folder / "broken.graphql").write_text(print_schema(broken), encoding="utf-8")
    with pytest.raises(AssertionError, match="revision"):
        await run(folder, inspector, "diff", "committed.graphql", "broken.graphql")


@pytest.mark.parametrize("source", [pytest.param(EDITOR, marks=pytest.mark.slow), CONSOLE], ids=["graphiql", "console"])
async def test_the_files_of_a_page_match_their_source(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(installed_packages(source) / "node_modules")
    await run(folder, "node", "--preserve-symlinks", "build.mjs", str(tmp_path / "built"))
    built = {file.name: gzip.decompress(file.read_bytes()) for file in (tmp_path / "built").iterdir()}
    kept = {file.name: gzip.decompress(file.read_bytes()) for file in (REPOSITORY / "graph" / source.name).glob("*.gz")}
    assert built.keys() == kept.keys()
    assert [name for name in built if built[name] != kept[name]] == [], "run: npm ci && node build.mjs"


@pytest.mark.parametrize("place", [HERE, EDITOR, CONSOLE, REPOSITORY / "bench" / "node"])
def test_a_lock_file_names_no_registry(place: Path) -> None:
    packages = json.loads((place / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert len(packages) > 5
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert not [name for name, package in packages.items() if name and "integrity" not in package]
