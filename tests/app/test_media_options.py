"""The file with the options of media stores: its content, its permissions, and messages without its content."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from graph.media_options import MAX_BYTES, MediaOptionsError, read_media_options
from graph.open_parts import CannotOpenError
from graph.services import open_services
from graph.settings import load

SECRET = "much-hidden"


def write_options(folder: Path, content: Any, mode: int = 0o600) -> Path:
    path = folder / "options.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


def test_keys_get_a_slash_at_their_end(tmp_path: Path) -> None:
    options = {
        "s3://": {"profile": "x"},
        "s3://audio": {"key": "k", "secret": SECRET, "client_kwargs": {"region_name": "eu"}},
        "https://files.example.org/a/": {"method": "post", "headers": {"Authorization": SECRET}},
    }
    found = read_media_options(write_options(tmp_path, options))
    assert found == {
        "s3://": options["s3://"],
        "s3://audio/": options["s3://audio"],
        "https://files.example.org/a/": options["https://files.example.org/a/"],
    }


def test_without_a_file_there_are_no_options() -> None:
    assert read_media_options(None) == {}


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o644])
def test_a_file_that_other_users_can_access_is_rejected(tmp_path: Path, mode: int) -> None:
    with pytest.raises(MediaOptionsError, match="chmod 600"):
        read_media_options(write_options(tmp_path, {}, mode))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not valid JSON, line 1 column 1"),
        (f'{{"s3://": {{"secret": "{SECRET}" "x"}}}}', "is not valid JSON, line 1 column 36"),
        ("[" * 100_000, "is not valid JSON"),
        (" " * (MAX_BYTES + 1), f"has more than {MAX_BYTES} bytes"),
        ([SECRET], "must contain one JSON object"),
        ({"s3": {"secret": SECRET}}, "each key must be the beginning of a URL"),
        ({f"s3://user:{SECRET}@bucket/": {}}, "the beginning of a URL without a user"),
        ({"file:///var": {}}, "each key must be the beginning of a URL"),
        ({"https://[": {}}, "each key must be the beginning of a URL"),
        ({"s3://audio/": SECRET}, "the value for s3://audio/ must be a JSON object"),
        ({"https://": {"headers": {"Authorization": SECRET}}}, "https:// must name a host"),
        ({"https://h.example/": {"secret": SECRET}}, "a method (put or post) and headers"),
        ({"https://h.example/": {"method": SECRET}}, "a method (put or post) and headers"),
        ({"https://h.example/": {"headers": SECRET}}, "a method (put or post) and headers"),
        ({"https://h.example/": {"headers": {"X": [SECRET]}}}, "a method (put or post) and headers"),
    ],
)
def test_the_message_for_an_invalid_file_does_not_show_its_content(tmp_path: Path, content: Any, message: str) -> None:
    path = write_options(tmp_path, content)
    with pytest.raises(MediaOptionsError, match=re.escape(message)) as error:
        read_media_options(path)
    assert str(path) in str(error.value)
    assert SECRET not in str(error.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MediaOptionsError, match="cannot be read: No such file"):
        read_media_options(tmp_path / "nothing")


async def test_an_invalid_file_stops_the_start_and_a_valid_file_configures_the_stores(tmp_path: Path) -> None:
    settings = {"data": str(tmp_path / "data"), "media": "memory://audio", "media_options": str(tmp_path / "gone")}
    with pytest.raises(CannotOpenError, match="RECORDINGS_MEDIA_OPTIONS cannot be used"):
        async with open_services(load({}, settings)):
            pass
    path = write_options(tmp_path, {"s3://audio/": {"key": "k"}, "s3://": {"key": "other"}})
    async with open_services(load({}, settings | {"media_options": str(path)})) as services:
        found: list[Any] = [services.media.include(url) for url in ("s3://audio", "s3://audio/x", "s3://audios")]
        assert [store._connection._options["key"] for store in found] == ["k", "k", "other"]
