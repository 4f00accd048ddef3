"""The media router: which store it uses for an account and a URL, with which options, and its listing."""

from pathlib import Path
from typing import Any

import pytest

from adapters.media import HttpMedia, MediaRouter, open_media_store
from adapters.media.s3_store import S3Media
from recordings.ports.audio import MediaMissing, StoredObject


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "source").write_bytes(b"data")
    return str(tmp_path / "source")


async def listed(store: MediaRouter) -> list[StoredObject]:
    return sorted([found async for found in store.objects()], key=lambda found: found.url)


async def test_an_account_can_have_its_own_location(tmp_path: Path, source: str) -> None:
    async def location_of(account: str) -> str | None:
        return f"file://{tmp_path}/theirs" if account == "them" else None

    store = open_media_store(None, tmp_path / "data", location_of=location_of)
    ours, theirs = [await store.put(f"{account}/k", source, "audio/mpeg") for account in ("us", "them")]
    assert (ours, theirs) == ("local:us/k", f"file://{tmp_path}/theirs/them/k")
    other = open_media_store(None, tmp_path / "data")
    assert [await other.length(url) for url in (ours, theirs)] == [4, 4]
    assert [found.url for found in await listed(store)] == [theirs, ours]
    assert [found.url for found in await listed(other)] == [ours]
    other.include(f"file://{tmp_path}/theirs")
    assert [found.url for found in await listed(other)] == [theirs, ours]


async def test_a_location_is_noted_once_before_the_first_audio_is_stored_there(tmp_path: Path, source: str) -> None:
    noted: list[str] = []

    async def location_of(account: str) -> str | None:
        return None if account == "us" else f"file://{tmp_path}/{account}"

    async def note(location: str) -> None:
        noted.append(location)
        if len(noted) == 1:
            raise ConnectionError

    store = open_media_store("memory://user:secret@ours", tmp_path / "data", location_of=location_of, note=note)
    with pytest.raises(ConnectionError):
        await store.put("them/k", source, "audio/mpeg")
    assert await listed(store) == []
    for account in ("them", "them", "us", "us"):
        await store.put(f"{account}/k", source, "audio/mpeg")
    assert noted == [f"file://{tmp_path}/them/", f"file://{tmp_path}/them/", "memory://ours/"]
    await store.delete("memory://user:secret@ours/us/k")


async def test_the_data_folder_is_not_noted(tmp_path: Path, source: str) -> None:
    async def note(_location: str) -> None:
        raise AssertionError

    assert await open_media_store(None, tmp_path, note=note).put("a/k", source, "audio/mpeg") == "local:a/k"


def test_the_options_of_the_longest_matching_prefix_are_used(tmp_path: Path) -> None:
    options: dict[str, dict[str, Any]] = {
        "s3://": {"key": "a"},
        "s3://theirs/": {"key": "b"},
        "https://audio.example/": {"headers": {"X": "y"}},
    }
    store = open_media_store("s3://ours/folder", tmp_path, options_by_url=options)
    found = {url: store._store_of(url) for url in ("s3://ours/folder/x", "s3://other/x", "s3://theirs/x")}
    keys = {url: s3._connection._options["key"] for url, s3 in found.items() if isinstance(s3, S3Media)}
    assert keys == {"s3://ours/folder/x": "a", "s3://other/x": "a", "s3://theirs/x": "b"}
    web = {url: store._store_of(url) for url in ("https://audio.example/x", "https://audio.example.evil/x")}
    headers = [http._own_headers(url) for url, http in web.items() if isinstance(http, HttpMedia)]
    assert headers == [{"X": "y"}, {}]


async def test_a_web_server_is_read_only_if_a_guard_allows_it(tmp_path: Path) -> None:
    store = open_media_store(None, tmp_path)
    with pytest.raises(Exception, match="not among the allowed hosts"):
        await store.length("https://audio.example/x.mp3")
    await store.close()


async def test_a_store_without_signed_urls_returns_none(tmp_path: Path) -> None:
    store = open_media_store(None, tmp_path)
    assert await store.presign("local:x", 60, content_type="audio/mpeg", disposition="inline") is None
    with pytest.raises(MediaMissing):
        await store.presign("nothing", 60, content_type="audio/mpeg", disposition="inline")


@pytest.mark.parametrize("kind", ["file", "memory"])
async def test_a_listing_has_only_the_objects_of_its_own_store(tmp_path: Path, source: str, kind: str) -> None:
    base = {"file": f"file://{tmp_path}/ours", "memory": "memory://ours"}[kind]
    store, neighbour = (open_media_store(url, tmp_path / "data") for url in (base, f"{base}s"))
    urls = [await store.put(f"a/{month}/{name}.mp3", source, "audio/mpeg") for month in "12" for name in ("x", "ü y")]
    await neighbour.put("a/b", source, "audio/mpeg")
    found = await listed(store)
    assert [each.url for each in found] == sorted(urls)
    assert {each.length for each in found} == {4}
    assert all(each.modified and each.modified > 1_700_000_000_000 for each in found)
    for each in found:
        await store.delete(each.url)
    assert await listed(store) == []
    for each in await listed(neighbour):
        await neighbour.delete(each.url)
