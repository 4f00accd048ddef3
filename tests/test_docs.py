"""The examples in the documents work, and the lists in them are complete."""

import ast
import json
import os
import re
import shlex
import subprocess
import textwrap
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import graphql
import pytest
import yaml

from graph.cli.main import recordings
from graph.settings import SETTINGS, as_markdown, environment_names
from recordings.model.errors import QuotaExceeded
from recordings.model.recording import Reason
from recordings.use_cases.doctor_findings import Issue
from tests.e2e.server import Client, Server, until
from tests.e2e.server import command as ended

REPOSITORY = Path(__file__).parents[1]


def read(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


TUTORIAL = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
BACKUP = (REPOSITORY / "docs" / "backup.md").read_text(encoding="utf-8")
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
SETTINGS_PAGE = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
PAGES = sorted(path.name for path in (REPOSITORY / "docs").glob("*.md"))
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *(f"docs/{page}" for page in PAGES)]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = frozenset({"callId", "plainId"})
"""Values that differ in every session and that later examples use."""
PASSING = frozenset({"url", "purgeAt", "endCursor", "durationMs", "seconds"})
"""Values that differ in every session."""


def session() -> list[tuple[str, str, Any]]:
    """Return the examples of the session in the tutorial: (language, input, expected output)."""
    chapter = TUTORIAL.split("## With GraphQL")[1].split("\n## ")[0]
    blocks = BLOCK.findall(chapter)
    return [
        (language, text.strip(), json.loads(answer))
        for (language, text), (_, answer) in zip(blocks[::2], blocks[1::2], strict=True)
    ]


class Session:
    """Runs the session of the tutorial. It replaces the printed ids by the ids of this run."""

    def __init__(self, server: Server, client: Client) -> None:
        self.server = server
        self.client = client
        self.ids: dict[str, str] = {}

    def ask(self, text: str) -> Any:
        for printed, live in self.ids.items():
            text = text.replace(printed, live)
        said = self.client.http.post("/graphql", json={"query": text}).json()
        assert said.pop("extensions")["cost"]["requested"] > 0
        return said

    def compare(self, printed: Any, live: Any, name: str = "") -> None:
        assert type(printed) is type(live), (name, printed, live)
        if isinstance(printed, dict):
            assert list(printed) == list(live)
            for key in printed:
                self.compare(printed[key], live[key], key)
        elif isinstance(printed, list):
            assert len(printed) == len(live), (name, live)
            for one, other in zip(printed, live, strict=True):
                self.compare(one, other, name)
        elif name in NAMED:
            self.ids.setdefault(printed, live)
            assert self.ids[printed] == live
        elif name not in PASSING:
            assert printed == live, name


@pytest.fixture(scope="module")
def schema() -> graphql.GraphQLSchema:
    return graphql.build_schema(read("schema.graphql"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("docs") / "data", "--demo") as server:
        yield server


def test_the_session_in_the_tutorial_works_as_printed(server: Server) -> None:
    client = server.client(server.shown_token())
    live = Session(server, client)
    (language, command, printed), *examples = session()
    assert (language, shlex.split(command)[1:]) == ("sh", ["call"])
    with server.call(60) as call:
        live.compare(printed, json.loads(call.line))
        for language, text, answer in examples:
            assert language == "graphql"
            said = live.ask(text)
            live.compare(answer, said)
            if "startRecording" in text:
                time.sleep(1.5)
            elif "stopRecording" in text:
                client.wait_for(live.ids[printed_id(text)], "STORED")
    assert [name for _, text, _ in examples for name in re.findall(r"(\w+)\(", text)[:1]] == [
        "startRecording",
        "stopRecording",
        "recordings",
        "deleteRecording",
    ]


def test_the_commands_for_v2_in_the_tutorial_work(server: Server, tmp_path: Path) -> None:
    chapter = TUTORIAL.split("## With the v2 API")[1].split("\n## ")[0]
    scripts = [text for language, text in BLOCK.findall(chapter) if language == "sh"]
    script = "set -euo pipefail\n" + "".join(scripts).replace("http://127.0.0.1:8000", server.url)
    client = server.client(server.shown_token())
    with server.call(60) as call:
        until(
            lambda: client.graphql("{ viewer { account { calls(first: 1) { nodes { callId } } } } }")["viewer"][
                "account"
            ]["calls"]["nodes"]
        )
        variables = os.environ | {"TOKEN": server.shown_token()}
        ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=variables, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert (tmp_path / "call.mp3").read_bytes()[:3] == b"ID3" or (tmp_path / "call.mp3").read_bytes()[0] == 0xFF
    query = "query Q($call: String!) { recordings(first: 1, filter: {callId: {equal: $call}}) { nodes { plainId } } }"
    (found,) = client.graphql(query, call=call.id)["recordings"]["nodes"]
    assert client.wait_for(found["plainId"], "STORED")["endCause"] == "STOPPED"


def printed_id(text: str) -> str:
    found = re.search(r'id: "([^"]+)"', text)
    assert found is not None
    return found[1]


def test_the_backup_commands_make_a_complete_copy(server: Server, tmp_path: Path) -> None:
    assert server.printed()
    places = {"/var/backups/recordings": str(tmp_path / "backup"), "/srv/recordings": str(tmp_path / "copy")}
    lines = [line for language, text in BLOCK.findall(BACKUP) if language == "sh" for line in text.splitlines()]
    for _program, *words in (shlex.split(line) for line in lines[:4]):
        looked = ended(*(places.get(word, word) for word in words), data=server.data)
        assert looked.returncode == 0, looked.stderr
    # Delete audio in the copy, to prove that doctor examined the copy.
    copy = tmp_path / "copy"
    next(path for path in (copy / "media").rglob("*.*") if path.is_file() and path.suffix != ".json").unlink()
    assert "MISSING_AUDIO" in ended("doctor", data=copy).stdout


@pytest.mark.parametrize("page", DOCUMENTS)
def test_the_commands_on_a_page_exist(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Commands read files that exist.
    monkeypatch.chdir(tmp_path)
    for name in ("trail.ndjson", "export.json"):
        (tmp_path / name).touch()
    (tmp_path / "attachments").mkdir()
    for called in commands_on(page):
        command, words = command_of(called)
        # This raises an error if the arguments do not parse.
        command.make_context(command.name, words).close()
    # In a sentence, a command may lack arguments.
    for called in re.findall(r"`recordings ([a-z][^`]*)`", read(page)):
        command, words = command_of(called)
        assert words == [] or not isinstance(command, click.Group) or words[0].startswith("-"), called


def test_the_pages_have_commands() -> None:
    assert len([called for page in DOCUMENTS for called in commands_on(page)]) >= 50


@pytest.mark.parametrize("page", DOCUMENTS)
def test_the_snippets_on_a_page_are_valid(page: str, schema: graphql.GraphQLSchema) -> None:
    for language, text in snippets(page):
        if language == "graphql":
            assert graphql.validate(schema, graphql.parse(text)) == [], text
        elif language == "json":
            json.loads(text)
        elif language == "python":
            compile(text, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        elif language == "toml":
            assert set(tomllib.loads(text)) <= {setting.name for setting in SETTINGS}
        elif language == "xml":
            ET.fromstring(f"<page>{text.partition('?>')[2] or text}</page>")  # noqa: S314 - our own text
        elif language == "yaml":
            yaml.safe_load(text)


def snippets(page: str) -> list[tuple[str, str]]:
    """Return the languages and texts of all examples of a page, also of those in lists."""
    found = re.findall(r"^ *```(\w+)\n(.*?)^ *```$", read(page), re.MULTILINE | re.DOTALL)
    return [(language, textwrap.dedent(text).replace("\\\n", "")) for language, text in found]


def commands_on(page: str) -> list[str]:
    """Return the calls of `recordings` in the examples of a page that a shell can run."""
    lines = [line for language, text in snippets(page) if language == "sh" for line in text.splitlines()]
    calls = [re.search(r"(?:^|\.venv/bin/)recordings ([^|>&]*)", line) for line in lines]
    return [call[1] for call in calls if call]


def command_of(called: str) -> tuple[click.Command, list[str]]:
    """Return the command and its arguments. Its options must exist."""
    words = shlex.split(called)
    command: click.Command = recordings
    # `recordings token` is a command and a group.
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert command is not recordings, called
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= options | {"--help"}, called
    return command, words


@pytest.mark.parametrize("page", DOCUMENTS)
def test_the_files_that_a_page_names_exist(page: str) -> None:
    named = set(
        re.findall(r"`((?:recordings|adapters|graph|tests|scripts|bench|docs|deploy)/[A-Za-z_0-9/.-]*)`", read(page))
    )
    assert len(named) >= {"CONTRIBUTING.md": 15, "docs/architecture.md": 50}.get(page, 0)
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists()] == []
    files = {
        path.name for package in ("recordings", "adapters", "graph") for path in (REPOSITORY / package).rglob("*.py")
    }
    assert set(re.findall(r"`([a-z_0-9]+\.py)`", read(page))) <= files


@pytest.mark.parametrize("page", DOCUMENTS)
def test_every_code_block_is_closed(page: str) -> None:
    fences = re.findall(r"^( *)```(\w*)$", read(page), re.MULTILINE)
    blocks = list(zip(fences[::2], fences[1::2], strict=True))
    assert [start for start, end in blocks if end != (start[0], "")] == []


@pytest.mark.parametrize("page", DOCUMENTS)
def test_blocks_in_lists_are_indented_by_four_spaces(page: str) -> None:
    # With less, the site shows them outside of the list.
    outside = re.sub(r"^( *)```.*?^ *```$", r"\1```", read(page), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^ {1,3}(?:```|[-*] |\d+\. ).*|(?<=\n\n) {1,3}\S.*", outside, re.MULTILINE) == []


@pytest.mark.parametrize("system", ["Asterisk", "FreeSWITCH", "rtpengine"])
def test_the_guide_of_each_switch_is_complete(system: str) -> None:
    chapter = read("docs/switches.md").split(f"\n## {system}\n")[1].split("\n## ")[0]
    queries = [
        text for language, text in re.findall(r"```(\w+)\n(.*?)```", chapter, re.DOTALL) if language == "graphql"
    ]
    assert [graphql.parse(text).to_dict()["kind"] for text in queries] == ["document"]
    others = {"Asterisk", "FreeSWITCH", "rtpengine"} - {system}
    assert [other for other in others if other in chapter] == []


def test_the_commands_that_messages_and_texts_name_exist() -> None:
    """Errors, descriptions and the console say which command to run: `recordings node list`."""
    pattern = re.compile(r"[`“]recordings((?: [a-z][a-z-]*)+)")
    folders = [REPOSITORY / name for name in ("adapters", "graph", "recordings", "scripts/console/src")]
    sources = [path for folder in folders for path in folder.rglob("*.*") if path.suffix in {".py", ".js", ".jsx"}]
    named = {(path, *words.split()) for path in sources for words in pattern.findall(path.read_text("utf-8"))}
    assert len(named) >= 40
    for path, *words in sorted(named):
        group: click.Command = recordings
        for word in words:
            if isinstance(group, click.Group):
                assert word in group.commands, (path, words)
                group = group.commands[word]


@pytest.mark.parametrize("page", DOCUMENTS)
def test_relative_links_have_a_target(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert [link for link in links if not has_target(REPOSITORY / page, link)] == []


def has_target(page: Path, link: str) -> bool:
    """Return true if the page of a link exists, and the heading that its anchor names."""
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    if not anchor:
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_setting_is_documented() -> None:
    assert as_markdown() in SETTINGS_PAGE
    assert [name for name in environment_names() if f"`{name}`" not in SETTINGS_PAGE] == []


def test_the_options_and_findings_in_the_operations_guide_exist() -> None:
    options = {option for command in options_of(recordings) for option in command}
    assert set(re.findall(r"`(--[a-z-]+)`", OPERATIONS)) <= options
    reasons = {reason.value for reason in Reason}
    codes = {QuotaExceeded.code}
    named = set(re.findall(r"`([A-Z]+_[A-Z]+)`", OPERATIONS)) - reasons - codes
    assert named | {"COPY"} == {issue.value for issue in Issue}


def options_of(group: click.Group) -> Iterator[set[str]]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from options_of(command)
        else:
            yield {option for parameter in command.params for option in parameter.opts}


def test_the_deployment_files_set_only_existing_settings() -> None:
    used = {
        name
        for file in ("docker-compose.yml", "Dockerfile")
        for name in re.findall(r"RECORDINGS_[A-Z_]+", (REPOSITORY / file).read_text(encoding="utf-8"))
    }
    assert used <= set(environment_names())


def test_every_setting_has_a_description() -> None:
    assert all(setting.description.endswith(".") for setting in SETTINGS)
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
