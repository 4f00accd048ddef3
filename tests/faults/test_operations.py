"""Backups, restores and migrations that are killed in the middle. `tests.faults.operations` runs them on many rows."""

from pathlib import Path
from typing import Any

from pymongo import MongoClient

from tests.faults.operations import Operations


def test_a_killed_command_continues(
    tmp_path: Path, mongodb_uri: str, mongodb_database: str, mongodb_client: MongoClient[Any]
) -> None:
    Operations(tmp_path, mongodb_uri, mongodb_database).check(60)
    mongodb_client.drop_database(f"{mongodb_database}_restored")
