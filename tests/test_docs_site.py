"""The documentation site: it builds without a warning, has all pages, and loads nothing from other hosts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from graphql import GraphQLObjectType, build_schema

from graph.cli.main import recordings
from recordings.model.feed_event import EventType

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def test_each_page_is_in_the_navigation(site: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    for page in [*(REPOSITORY / "docs").glob("*.md"), Path("contributing.md"), Path("changelog.md")]:
        assert f'href="{page.stem}.html"' in index, page.name


def test_code_in_lists_is_code_in_the_site(site: Path) -> None:
    # A block that is not indented by four spaces ends its list, and its fence becomes text.
    for page in site.glob("*.html"):
        assert "```" not in page.read_text(encoding="utf-8"), page.name


def test_nothing_is_loaded_from_other_hosts(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=\"?(\S+)", page.read_text(encoding="utf-8")
        )
        assert not [url for url in loaded if url.startswith(("http", "//"))], page.name


def test_the_printed_pages_have_each_command_type_path_and_event(site: Path) -> None:
    def text(name: str) -> str:
        return (site / "reference" / f"{name}.html").read_text(encoding="utf-8")

    commands, types = (
        text("commands"),
        build_schema((REPOSITORY / "schema.graphql").read_text(encoding="utf-8")).type_map,
    )
    for name, command in recordings.commands.items():
        assert f">recordings {name}<" in commands
        inner = command.commands if isinstance(command, click.Group) else ()
        assert not [each for each in inner if f">recordings {name} {each}<" not in commands]
    shown = text("schema")
    roots = {"Query", "Mutation", "Subscription"}
    own = {name for name in types if not name.startswith("_")} - {"ID", "String", "Int", "Boolean", "Float"} - roots
    assert not [name for name in own if f'id="{name.lower()}"' not in shown]
    for root in roots:
        operations = types[root]
        assert isinstance(operations, GraphQLObjectType)
        assert not [name for name in operations.fields if f'id="{root.lower()}-{name.lower()}"' not in shown]
    assert not [each for each in EventType if f">{each.value}<" not in text("events")]
    assert "GET /accounts/{account_id}/recordings" in text("v2")


def test_files_of_deploy_are_part_of_the_site(site: Path) -> None:
    assert 'href="deploy/nginx/recordings.conf"' in (site / "deployment.html").read_text(encoding="utf-8")
    copied = (site / "deploy" / "nginx" / "recordings.conf").read_bytes()
    assert copied == (REPOSITORY / "deploy" / "nginx" / "recordings.conf").read_bytes()
