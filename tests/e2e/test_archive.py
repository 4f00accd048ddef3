"""An archive in the v2 format is imported with the command line and read through v2: unchanged, in the same order."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from tests.e2e.server import Server, command
from tests.e2e.sound import decode, wav

START = 63_877_497_832
ACCOUNT = "6b71cb72c876b5b1396a335f8f8a2594"
ADA, BOB = "8e248327b85591955749e53ea45b6baa", "not-of-hex"
SPAN = {"created_from": str(START - 86_400), "created_to": str(START + 30 * 86_400 - 1)}


def document(number: int, **fields: Any) -> dict[str, Any]:
    """Return the example document of docs/v2_contract.md, section 8, with `number` in the fields that differ."""
    media_type = fields.get("media_type", "mp3")
    name = f"{number:032x}.{media_type}"
    content_type = "audio/mpeg" if media_type == "mp3" else "audio/x-wav"
    made: dict[str, Any] = {
        "_id": f"202403-{number:032x}",
        "_rev": "2-8c1f0e1b5a7d4f2e9b6c3a1d0f8e7c6b",
        "name": name,
        "description": f"recording {name}",
        "content_type": content_type,
        "media_type": media_type,
        "media_source": "recorded",
        "source_type": "kzc_recording",
        "from": f"{number}@acme.sip.example.com",
        "to": "+14155550123@acme.sip.example.com",
        "request": "+14155550123@acme.sip.example.com",
        "direction": "inbound",
        "start": START,
        "duration": 42,
        "duration_ms": 42_380,
        "caller_id_name": "Ada Reception",
        "caller_id_number": "1001",
        "callee_id_name": "",
        "callee_id_number": "+14155550123",
        "call_id": f"{number}@10.26.0.91",
        "cdr_id": f"202403-{number}@10.26.0.91",
        "interaction_id": "63877497820-3f2a1b9c",
        "owner_id": ADA,
        "origin": "callflow : Front desk",
        "custom_channel_vars": {"Account-ID": ACCOUNT, "Authorizing-Type": "device", "Call-Interaction-ID": "x"},
        "_attachments": {name: {"content_type": content_type, "revpos": 2, "stub": True}},
        "pvt_type": "call_recording",
        "pvt_account_id": ACCOUNT,
        "pvt_account_db": "account%2F6b%2F71%2Fcb72c876b5b1396a335f8f8a2594-202403",
        "pvt_created": START + 43,
        "pvt_modified": START + 43,
        "pvt_node": "kazoo_apps@app1.example.com",
        "pvt_document_hash": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    }
    return {name: value for name, value in (made | fields).items() if value is not ...}


UNUSUAL: dict[str, Any] = {
    "direction": "sideways", "media_type": "mp3", "from": "anonymous", "call_id": "", "odd": "ß\n\U0001f600",
    "null": None, "zero": 0, "minus": -1.5, "large": 2**62, "whole": 1.0, "truth": True, "empty": {}, "none": [],
    "custom_channel_vars": {"a.b": {"$x": [1, None, 2.5, False]}, "$y": "z", "": 1},
}  # fmt: skip
DOCUMENTS: tuple[dict[str, Any], ...] = (
    document(1),
    document(2, media_type="wav", owner_id=BOB),
    # The same time as the first two, so that a page ends between them. It has no owner.
    document(3, owner_id=...),
    document(4, pvt_created=START + 3_600, **UNUSUAL),
    document(5, pvt_created=START + 20 * 86_400, pvt_modified=START + 21 * 86_400, user_metadata={"case": {"n": [7]}}),
    document(6, pvt_created=START + 44, user_metadata={}, media_type=".mp3", endpoint_id="e", label="x"),
    # It has no audio here: the audio was sent to the owner's own server.
    document(7, pvt_created=START + 45, _attachments=..., url="https://example.com/in?file="),
    # An older form of id, and almost no other fields.
    {"_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "pvt_created": START + 46, "pvt_type": "call_recording"},
    document(9, pvt_created=START + 47, media_type="wav"),
)
SILENT = {DOCUMENTS[6]["_id"], DOCUMENTS[7]["_id"], DOCUMENTS[8]["_id"]}


def public(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if not name.startswith(("_", "pvt_"))} | {"id": stored["_id"]}


def newest_first(*documents: dict[str, Any]) -> list[str]:
    return [each["_id"] for each in sorted(documents, key=lambda it: (it["pvt_created"], it["_id"]), reverse=True)]


def as_text(value: Any) -> str:
    """Return a text that also shows the types: 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


def mp3(seconds: int) -> bytes:
    """Return an MP3 file with the same note as `wav`."""
    target = io.BytesIO()
    with av.open(io.BytesIO(wav(seconds)), "r") as source, av.open(target, "w", format="mp3") as output:
        stream = output.add_stream("libmp3lame", rate=8_000, layout="mono")
        for frame in source.decode(audio=0):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target.getvalue()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `export.jsonl` and, in `media`, the attachments."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "media").mkdir()
    for each in DOCUMENTS:
        for name in each.get("_attachments", {}):
            sound = wav(2) if name.endswith("wav") else mp3(2)
            (folder / "media" / name).write_bytes(b"no sound" if each["_id"] in SILENT else sound)
    lines = [json.dumps(each) for each in DOCUMENTS]
    (folder / "export.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(params=["sqlite", "mongodb"])
def http(request: pytest.FixtureRequest, archive: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a running service, signed in with an API key. The archive is already imported."""
    variables = {}
    if request.param == "mongodb":
        uri, name = (request.getfixturevalue(each) for each in ("mongodb_uri", "mongodb_database"))
        variables["RECORDINGS_MONGODB"] = uri.replace("/?", f"/{name}?")
    data = tmp_path / "data"

    def run(*words: str | Path, expected: int = 0) -> Any:
        done = command(*words, data=data, seconds=60, **variables)
        assert done.returncode == expected, done.stderr
        return json.loads(done.stdout)

    with Server(data, **variables) as server:
        run("account", "create", "Acme", "--id", ACCOUNT)
        summary = run(
            "import", archive / "export.jsonl", "--account", ACCOUNT, "--media", archive / "media", expected=1
        )
        assert (summary["with_audio"], summary["without_audio"], summary["unplayable"]) == (6, 2, 1)
        key = run("key", "create", "--account", ACCOUNT)["key"]
        signed_in = httpx.put(f"{server.url}/v2/api_auth", json={"data": {"api_key": key}})
        headers = {"X-Auth-Token": signed_in.json()["auth_token"]}
        with httpx.Client(base_url=f"{server.url}/v2/accounts/{ACCOUNT}", headers=headers, timeout=30) as client:
            yield client


def pages(http: httpx.Client, path: str, **params: str) -> Iterator[dict[str, Any]]:
    """Return all items, page by page."""
    while True:
        body = http.get(path, params={**SPAN, **params}).json()
        assert body["status"] == "success", body
        yield from body["data"]
        if "next_start_key" not in body:
            return
        params["start_key"] = body["next_start_key"]


def test_an_imported_archive_is_returned_unchanged(http: httpx.Client) -> None:
    _everything_comes_back(http)
    _audio_plays(http)
    _lists_of_users(http)
    _filters(http)
    _what_is_changed_here(http)


def _everything_comes_back(http: httpx.Client) -> None:
    whole = http.get("/recordings", params={**SPAN, "paginate": "false"}).json()["data"]
    assert [item["id"] for item in whole] == newest_first(*DOCUMENTS)
    assert list(pages(http, "/recordings", page_size="2")) == whole
    assert list(pages(http, "/recordings", page_size="2", ascending="true")) == whole[::-1]
    by_id = {item["id"]: item for item in whole}
    for each in DOCUMENTS:
        item = by_id[each["_id"]]
        types = [] if each["_id"] in SILENT else ["audio/x-wav" if each["media_type"] == "wav" else "audio/mpeg"]
        assert item.pop("_read_only") == {"content_types": types}
        assert as_text(item) == as_text(public(each))
        assert as_text(http.get(f"/recordings/{each['_id']}").json()["data"]) == as_text(public(each))


def _audio_plays(http: httpx.Client) -> None:
    for each in DOCUMENTS:
        path = f"/recordings/{each['_id']}"
        audio = http.get(path, headers={"Accept": "audio/mpeg"})
        if each["_id"] in SILENT:
            assert (audio.status_code, audio.json()["error"]) == (404, "404")
            continue
        is_wav = each["media_type"] == "wav"
        assert audio.headers["content-type"] == ("audio/x-wav" if is_wav else "audio/mpeg")
        assert audio.headers["content-disposition"] == f"attachment; filename={each['name']}"
        sound = decode(audio.content)
        assert sound.seconds == pytest.approx(2, abs=0.2)
        assert sound.strength(0, 440) > 10 * sound.strength(0, 1_000)
        part = http.get(path, params={"accept": "audio/mpeg"}, headers={"Range": "bytes=10-99"})
        assert (part.status_code, part.content) == (206, audio.content[10:100])


def _lists_of_users(http: httpx.Client) -> None:
    for user in (ADA, BOB):
        expected = newest_first(*(each for each in DOCUMENTS if each.get("owner_id") == user))
        assert expected
        assert [item["id"] for item in pages(http, f"/users/{user}/recordings", page_size="2")] == expected
    assert http.get("/users/nobody/recordings").status_code == 404


def _filters(http: httpx.Client) -> None:
    unusual = DOCUMENTS[3]
    for name, value in (
        ("filter_from", "anonymous"),
        ("filter_direction", "sideways"),
        ("filter_call_id", ""),
        ("filter_custom_channel_vars.$y", "z"),
        ("filter_large", str(2**62)),
        ("has_key", "odd"),
    ):
        found = [item["id"] for item in pages(http, "/recordings", page_size="2", **{name: value})]
        without_call_id = {DOCUMENTS[7]["_id"]} if name == "filter_call_id" else set()
        assert set(found) == {unusual["_id"]} | without_call_id, name


def _what_is_changed_here(http: httpx.Client) -> None:
    original = DOCUMENTS[4]
    path = f"/recordings/{original['_id']}"
    for changes, expected in (
        ({"more": 1}, {"case": {"n": [7]}, "more": 1}),
        ({"more": None, "case": None}, None),
    ):
        assert http.patch(path, json={"data": {"user_metadata": changes}}).status_code == 200
        shown = http.get(path).json()["data"]
        assert shown.pop("user_metadata", None) == expected
        assert shown == {name: value for name, value in public(original).items() if name != "user_metadata"}
    assert http.delete(path).json()["data"]["_read_only"] == {"deleted": True}
    assert http.get(path).status_code == 404
    remaining = [each for each in DOCUMENTS if each is not original]
    assert [item["id"] for item in pages(http, "/recordings")] == newest_first(*remaining)
