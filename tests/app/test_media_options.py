"""The file with the options of stores: what it may hold, who may read it, and what is never shown of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from graph.media_options import MOST_BYTES, WrongMediaOptionsError, read_media_options
from graph.services import CannotOpenError, open_services
from graph.settings import load

SECRET = "much-hidden"


def written(folder: Path, content: Any, mode: int = 0o600) -> Path:
    path = folder / "options.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


def test_options_are_by_beginnings_that_end_with_a_slash(tmp_path: Path) -> None:
    given = {
        "s3://": {"profile": "x"},
        "s3://audio": {"key": "k", "secret": SECRET, "client_kwargs": {"region_name": "eu"}},
        "https://files.example.org/a/": {"method": "post", "headers": {"Authorization": SECRET}},
    }
    found = read_media_options(written(tmp_path, given))
    assert found == {
        "s3://": given["s3://"],
        "s3://audio/": given["s3://audio"],
        "https://files.example.org/a/": given["https://files.example.org/a/"],
    }


def test_without_a_file_there_are_none() -> None:
    assert read_media_options(None) == {}


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o644])
def test_what_everybody_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(WrongMediaOptionsError, match="chmod 600"):
        read_media_options(written(tmp_path, {}, mode))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no JSON, line 1 column 1"),
        (f'{{"s3://": {{"secret": "{SECRET}" "x"}}}}', "is no JSON, line 1 column 36"),
        ("[" * 100_000, "is no JSON"),
        (" " * (MOST_BYTES + 1), f"has more than {MOST_BYTES} bytes"),
        ([SECRET], "must hold one JSON object"),
        ({"s3": {"secret": SECRET}}, "no beginning of a URL"),
        ({f"s3://user:{SECRET}@bucket/": {}}, "no beginning of a URL without a user"),
        ({"file:///var": {}}, "no beginning of a URL"),
        ({"https://[": {}}, "no beginning of a URL"),
        ({"s3://audio/": SECRET}, "a JSON object for s3://audio/"),
        ({"https://": {"headers": {"Authorization": SECRET}}}, "names no host"),
        ({"https://h.example/": {"secret": SECRET}}, "a method (put or post) and headers"),
        ({"https://h.example/": {"method": SECRET}}, "a method (put or post) and headers"),
        ({"https://h.example/": {"headers": SECRET}}, "a method (put or post) and headers"),
        ({"https://h.example/": {"headers": {"X": [SECRET]}}}, "a method (put or post) and headers"),
    ],
)
def test_what_cannot_be_used_is_said_without_what_is_in_it(tmp_path: Path, content: Any, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(WrongMediaOptionsError, match=re.escape(said)) as wrong:
        read_media_options(path)
    assert str(path) in str(wrong.value)
    assert SECRET not in str(wrong.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WrongMediaOptionsError, match="cannot be read: No such file"):
        read_media_options(tmp_path / "nothing")


async def test_a_wrong_file_ends_the_start_and_a_right_one_reaches_the_stores(tmp_path: Path) -> None:
    settings = {"data": str(tmp_path / "data"), "media": "memory://audio", "media_options": str(tmp_path / "gone")}
    with pytest.raises(CannotOpenError, match="RECORDINGS_MEDIA_OPTIONS cannot be used"):
        async with open_services(load({}, settings)):
            pass
    path = written(tmp_path, {"s3://audio/": {"key": "k"}, "s3://": {"key": "other"}})
    async with open_services(load({}, settings | {"media_options": str(path)})) as services:
        found: list[Any] = [services.media.include(url) for url in ("s3://audio", "s3://audio/x", "s3://audios")]
        assert [store._connection._options["key"] for store in found] == ["k", "k", "other"]
