"""`recordings import` accepts what CouchDB, its tools and the v2 API write, and finds the right audio."""

import gzip
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from adapters.rest_v2.gregorian import from_gregorian
from adapters.rest_v2.recording.v2_document import to_v2
from recordings.model.recording import Recording, State
from tests.cli.archive_files import (
    START,
    WAV,
    attachment,
    document,
    id_of,
    lines,
    loaded,
    name_of,
    public,
    row,
    stored_audio,
    tone,
)
from tests.cli.conftest import CommandLine
from tests.e2e.sound import decode


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    for number in (1, 2):
        (folder / name_of(number)).write_bytes(WAV)
    return folder


def texts(account: str) -> dict[str, bytes]:
    """Return two documents in each form, by name."""
    first, second = (document(number, account) for number in (1, 2))
    one, two = json.dumps(first), json.dumps(second)
    rows = ",\r\n".join(json.dumps(row(each)) for each in (first, second))
    return {
        "json_lines": lines(first, second),
        "all_docs_pretty": f'{{"total_rows":2,"offset":0,"rows":[\r\n{rows}\r\n]}}\n'.encode(),
        "all_docs_on_one_line": json.dumps({"total_rows": 2, "offset": 0, "rows": [row(first), row(second)]}).encode(),
        "rows_on_lines": rows.encode(),
        "array": json.dumps([first, second]).encode(),
        "array_on_lines": f"[\n{one},\n{two}\n]\n".encode(),
        "array_with_a_comma_at_the_end": f"[\n{one},\n{two},\n]\n".encode(),
        "bulk_docs": f'{{"new_edits":false,"docs":[\n{one},\n{two}\n]}}\n'.encode(),
        "v2_list": json.dumps({"data": [public(1, account), public(2, account)], "status": "success"}).encode(),
        "v2_documents": lines({"data": public(1, account), "status": "success"}, public(2, account)),
        "pretty": f"{json.dumps(first, indent=2)}\n{json.dumps(second, indent=2)}\n".encode(),
        "byte_order_mark": b"\xef\xbb\xbf" + lines(first, second),
        "gzip": gzip.compress(lines(first)) + gzip.compress(lines(second)),
        "changes": json.dumps({"results": [{"seq": 1, "id": "x", "changes": [], "doc": first}, row(second)]}).encode(),
        "continuous_changes": lines(
            *({"seq": 1, "changes": [], "doc": each} for each in (first, second)), {"last_seq": 9}
        ),
        "bulk_get": json.dumps({"results": [{"id": "x", "docs": [{"ok": each}]} for each in (first, second)]}).encode(),
        "couchbackup": lines({"name": "@cloudant/couchbackup", "mode": "full"}, [first, second]),
        "pouchdb_dump": lines({"version": "1", "db_type": "http"}, {"docs": [first]}, {"docs": [second]}, {"seq": 2}),
        "view": json.dumps({"rows": [{"id": "x", "key": 1, "value": each} for each in (first, second)]}).encode(),
        "queries": json.dumps({"results": [{"rows": [row(first)]}, {"rows": [row(second)]}]}).encode(),
        "design_documents": lines(
            {"_id": "_design/recordings", "views": {}}, first, {"id": "_design/x", "key": "x", "value": {}}, second
        ),
        "deleted_documents": lines(
            first,
            {"_id": "x", "_deleted": True},
            {"id": "x", "key": "x", "value": {"rev": "2-x", "deleted": True}, "doc": None},
            document(9, account, pvt_deleted="true"),
            second,
        ),
    }


@pytest.mark.parametrize("form", texts("x"))
def test_every_form_is_imported_with_its_audio(
    form: str, cli: CommandLine, account: str, media: Path, tmp_path: Path
) -> None:
    file = tmp_path / "export"
    file.write_bytes(texts(account)[form])
    (summary,) = cli.json("import", file, "--account", account, "--media", media)
    assert (summary["with_audio"], summary["bad"], summary["line_numbers"]) == (2, 0, {})
    assert summary["design"] == (2 if form == "design_documents" else 0)
    assert summary["deleted"] == (3 if form == "deleted_documents" else 0)
    for recording in loaded(cli, [id_of(1), id_of(2)]).values():
        assert recording is not None
        assert recording.media is not None
        assert (recording.state, recording.media.duration_ms) == (State.STORED, 1_000)
        ended = START + (5 if form.startswith("v2") else 43)
        assert (recording.start, recording.ended) == (from_gregorian(START), from_gregorian(ended))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "line 1: the file is empty"),
        (b" \n\n", "line 1: the file is empty"),
        (b"<html><body>502 Bad Gateway</body></html>", "line 1: this is an HTML or XML page"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "export without the option -i"),
        (
            b'{"error":"unauthorized","reason":"You are not authorized"}',
            "CouchDB: unauthorized, You are not authorized",
        ),
        (b'{"data":{},"error":"404","message":"bad_identifier","status":"error"}', "the v2 API: bad_identifier"),
        (
            b'{"rows":[\n{"id":"x","key":"x","value":{"rev":"1-x"}}\n]}',
            "line 2: a row without its document: export with",
        ),
        (b'{"rows":[{"key":"x","error":"not_found"}]}', "CouchDB has no document x: not_found"),
        (b'{"some":"object"}', "an object without _id and pvt_type"),
        (b"id,call_id\n1,2\n", "this is a CSV table"),
        (b'"call_id","direction"\n"1","inbound"\n', "this is a CSV table"),
        (b'{"_id":"1","pvt_type":"call_recording","name":"\xe9"}', "line 1: not JSON: 'utf-8' codec"),
        (b'{"_id":"1","pvt_type":"call_recording","x":1,}', "line 1: not JSON: "),
        (b'{"_id":"1","pvt_type":"call_recording"}\n\0\0\0\0', "line 2: not a JSON object"),
        (b"PK\x03\x04abc", "this is a ZIP file: unpack it"),
        (b"\x28\xb5\x2f\xfdabc", "this is a zstd file"),
        ("[{}]".encode("utf-16"), "this is UTF-16 text"),
        (b"RIFF\0\0\0\0WAVE", "this is an audio file"),
        (b"Content-Type: multipart/mixed; boundary=x\n", "this is a MIME file"),
        (gzip.compress(b'{"_id":"1"}\n' * 2_000, mtime=0)[:40], "the gzip file is damaged or cut off"),
        (b'[\n{"_id":"1","pvt_type":"user"},\n', "line 1: the file ends inside this array"),
        (b"\n\n[1]", "line 3: not a JSON object: '1'"),
        (b'{"_id":"1","pvt_type":"cdr"}', "a document of the pvt_type 'cdr': only documents with"),
    ],
)
def test_unsupported_lines_are_reported_with_their_number_and_a_hint(
    text: bytes, message: str, cli: CommandLine, account: str, tmp_path: Path
) -> None:
    file = tmp_path / "export"
    file.write_bytes(text)
    result = cli.run("import", file, "--account", account, expected=1)
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert json.loads(result.stdout)["bad"] >= 1


@pytest.mark.parametrize("text", ["[]", '{"total_rows":0,"offset":0,"rows":[]}', '{"last_seq":1,"pending":0}'])
def test_an_export_without_documents_is_no_error(text: str, cli: CommandLine, account: str, tmp_path: Path) -> None:
    file = tmp_path / "export"
    file.write_text(text)
    assert cli.json("import", file, "--account", account)[0]["documents"] == 0


def test_documents_on_one_line_are_named_by_their_ids(cli: CommandLine, account: str, tmp_path: Path) -> None:
    file = tmp_path / "export"
    file.write_text(json.dumps([document(1, account, start=0), document(2, account, pvt_type="cdr")]))
    stderr = cli.run("import", file, "--account", account, expected=1).stderr
    assert f"line 1: {id_of(1)}: start must be a time" in stderr
    assert f"line 1: {id_of(2)}: this is a document of the pvt_type 'cdr'" in stderr


def test_an_incomplete_list_gets_a_note(cli: CommandLine, account: str, media: Path, tmp_path: Path) -> None:
    file = tmp_path / "export"
    file.write_text(json.dumps({"data": [public(1, account)], "next_start_key": "x", "status": "success"}))
    result = cli.run("import", file, "--account", account, "--media", media)
    assert "more pages follow: export with paginate=false" in result.stderr


def imported(cli: CommandLine, account: str, media: Path, *documents: dict[str, Any]) -> list[Recording | None]:
    """Import documents, and return their recordings."""
    file = media.with_name("export.jsonl")
    file.write_bytes(lines(*documents))
    (summary,) = cli.json("import", file, "--account", account, "--media", media)
    assert summary["with_audio"] == len(documents)
    return list(loaded(cli, [each["_id"] for each in documents]).values())


STUB = {"content_type": "audio/x-wav", "stub": True}
TEXT = {"content_type": "text/plain", "stub": True}


@pytest.mark.parametrize(
    ("name", "attachments"),
    [
        (name_of(1), {"greeting.wav": STUB, name_of(1): STUB}),
        (name_of(1), {"note.txt": TEXT, name_of(1): STUB}),
        # The name decides, also against the type.
        (name_of(1), {"greeting.wav": STUB, name_of(1): {"content_type": "application/octet-stream"}}),
        # No attachment has the name. An audio type decides, and then the file that exists.
        ("other.mp3", {"note.txt": TEXT, name_of(1): STUB}),
        ("other.mp3", {"gone.wav": STUB, name_of(1): STUB}),
        (..., {"note.txt": TEXT, "gone.wav": STUB, name_of(1): STUB}),
        (..., {"note.txt": TEXT, name_of(1): {"content_type": "application/octet-stream"}}),
        # No attachment has an audio type or name.
        (..., {"gone": TEXT, "only-audio": {"content_type": "application/octet-stream"}}),
        # A file with the name exists, although no attachment has it.
        (name_of(1), {"note.txt": TEXT}),
        (name_of(1), []),
        # The name in the document is composed, that of the file is not.
        ("Gespr\u00e4ch.wav", {"Gespr\u00e4ch.wav": STUB}),
    ],
)
def test_the_attachment_is_chosen_by_name_then_type_then_file(
    name: Any, attachments: Any, cli: CommandLine, account: str, media: Path
) -> None:
    (media / "greeting.wav").write_bytes(tone(hertz=0))
    (media / "note.txt").write_bytes(b"notes of the agent\n")
    for other in ("only-audio", "Gespra\u0308ch.wav"):
        (media / other).write_bytes(WAV)
    (recording,) = imported(cli, account, media, document(1, account, name=name, _attachments=attachments))
    assert stored_audio(cli, recording) == WAV


@pytest.mark.parametrize("seconds", [1, 60])
@pytest.mark.parametrize("form", ["plain", "escaped", "in lines", "without padding"])
def test_audio_inside_a_document_is_stored(
    seconds: int, form: str, cli: CommandLine, account: str, media: Path
) -> None:
    audio = tone(seconds)
    text = b64encode(audio).decode()
    if form == "in lines":
        text = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    elif form == "without padding":
        text = text.rstrip("=")
    inline = {name_of(9): attachment(audio) | {"data": text, "stub": False}}
    export = json.dumps({"rows": [row(document(9, account, _attachments=inline))]})
    if form == "escaped":
        export = export.replace("/", "\\/").replace("=", "\\u003d")
    file = media.with_name("export.json")
    file.write_text(export)
    assert cli.json("import", file, "--account", account, "--media", media)[0]["with_audio"] == 1
    recording = loaded(cli, [id_of(9)])[id_of(9)]
    sound = decode(stored_audio(cli, recording))
    assert sound.seconds == pytest.approx(seconds, abs=0.01)
    assert sound.strength(0, 440) > 10 * sound.strength(0, 1_000)
    assert recording is not None
    assert recording.imported is not None
    assert "data" not in recording.imported["_attachments"][name_of(9)]
    # Nothing stays in the data folder.
    assert [path.name for path in (cli.data / "spool").iterdir()] == []


def test_audio_that_is_not_base64_is_reported(cli: CommandLine, account: str, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    bad = ["no base64!", "AAAA=AAA", "A" * 600_000 + "!", "AAAA", 7]
    attachments = [{name_of(9): {"content_type": "audio/x-wav", "length": 16, "data": text}} for text in bad]
    file.write_bytes(lines(*(document(n, account, _attachments=each) for n, each in enumerate(attachments))))
    result = cli.run("import", file, "--account", account, expected=1)
    summary = json.loads(result.stdout)
    assert (summary["bad"], summary["unplayable"], summary["with_audio"]) == (3, 1, 0)
    assert f"line 1: {id_of(0)}: the attachment's data is not base64" in result.stderr
    assert "has 3 bytes, but the attachment has 16" in result.stderr


def test_values_of_other_types_are_read_or_reported(
    cli: CommandLine, account: str, media: Path, tmp_path: Path
) -> None:
    changes: list[dict[str, Any]] = [
        {"duration": "5"}, {"duration": 5.0}, {"duration_ms": 5000.7}, {"start": float(START)}, {"start": str(START)},
        {"duration": -3, "duration_ms": ...}, {"from": None}, {"call_id": 12345}, {"caller_id_number": 14155550123},
        {"caller_id_name": True}, {"direction": "sideways"}, {"custom_channel_vars": []}, {"media_type": "wave"},
        {"pvt_deleted": "true"}, {"start": 0}, {"start": 1710278632}, {"pvt_created": 1710278632},
        {"start": START * 1000}, {"custom_channel_vars": [1]},
    ]  # fmt: skip
    documents = [document(30 + number, account, **each) for number, each in enumerate(changes)]
    for number in range(len(documents)):
        (media / name_of(30 + number)).write_bytes(WAV)
    file = tmp_path / "export.jsonl"
    file.write_bytes(lines(*documents))
    result = cli.run("import", file, "--account", account, "--media", media, expected=1)
    summary = json.loads(result.stdout)
    assert summary["line_numbers"] == {"bad": [6, 10, 15, 16, 17, 18, 19]}
    assert (summary["with_audio"], summary["deleted"]) == (11, 1)
    assert result.stderr.count("this is Unix seconds (it would be in the year 54)") == 2
    for given in documents:
        recording = loaded(cli, [given["_id"]])[given["_id"]]
        if recording is None:
            continue
        assert recording.start == from_gregorian(START)
        shown = {name: value for name, value in given.items() if not name.startswith(("_", "pvt_"))}
        assert json.dumps(to_v2(recording.to_row())) == json.dumps(shown | {"id": given["_id"]})
