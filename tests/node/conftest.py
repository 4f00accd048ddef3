"""The installed npm packages, and a folder with them for each test."""

import shutil
from pathlib import Path

import pytest

from graph.schema.build import sdl
from tests.node.packages import installed_packages

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def installed() -> Path:
    return installed_packages(HERE)


@pytest.fixture
def folder(installed: Path, tmp_path: Path) -> Path:
    """Copy the files of this folder next to the installed packages."""
    made = tmp_path / "node"
    shutil.copytree(HERE, made, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (made / "node_modules").symlink_to(installed / "node_modules")
    (made / "schema.graphql").write_text(sdl(), encoding="utf-8")
    return made
