"""Archives of Kazoo for tests, and the recordings that an import made of them."""

import asyncio
import hashlib
import io
import json
import math
import wave
from base64 import b64encode
from collections.abc import Sequence
from struct import pack
from typing import Any

from graph.services import open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Principal
from recordings.model.recording import Recording
from tests.cli.conftest import CommandLine

START = 63_877_497_832
"""2024-03-12T21:23:52Z in Gregorian seconds."""


def tone(seconds: float = 1.0, hertz: float = 440.0) -> bytes:
    """Return a WAV file of a tone, or of silence (0 Hz)."""
    with io.BytesIO() as file:
        with wave.open(file, "wb") as audio:
            audio.setnchannels(1)
            audio.setsampwidth(2)
            audio.setframerate(8_000)
            angles = (2 * math.pi * hertz * position / 8_000 for position in range(round(seconds * 8_000)))
            audio.writeframes(b"".join(pack("<h", round(8_000 * math.sin(angle))) for angle in angles))
        return file.getvalue()


WAV = tone()


def name_of(number: int) -> str:
    return f"{number:032x}.wav"


def id_of(number: int) -> str:
    return f"202403-{number:032x}"


def document(number: int, account: str, **changes: Any) -> dict[str, Any]:
    """Return a document as CouchDB stores it. The value `...` removes a field."""
    name = name_of(number)
    about = {"content_type": "audio/x-wav", "length": len(WAV), "digest": "md5-x", "revpos": 2, "stub": True}
    made = {
        "_id": id_of(number),
        "_rev": "2-8c1f0e1b5a7d4f2e9b6c3a1d0f8e7c6b",
        "name": name,
        "description": f"recording {name}",
        "content_type": "audio/x-wav",
        "media_type": "wav",
        "media_source": "recorded",
        "source_type": "kzc_recording",
        "from": "1001@acme.example.com",
        "to": "+14155550123@acme.example.com",
        "request": "+14155550123@acme.example.com",
        "direction": "inbound",
        "start": START,
        "duration": 5,
        "duration_ms": 5_000,
        "call_id": f"imp-{number}",
        "origin": "callflow : Front desk",
        "_attachments": {name: about},
        "pvt_type": "call_recording",
        "pvt_account_id": account,
        "pvt_created": START + 43,
        "pvt_modified": START + 43,
    }
    return {key: value for key, value in {**made, **changes}.items() if value is not ...}


def public(number: int, account: str) -> dict[str, Any]:
    """Return the same document as the v2 API returns it."""
    shown = {key: value for key, value in document(number, account).items() if not key.startswith(("_", "pvt_"))}
    return shown | {"id": id_of(number), "_read_only": {"content_types": ["audio/x-wav"]}}


def row(document: dict[str, Any]) -> dict[str, Any]:
    return {"id": document["_id"], "key": document["_id"], "value": {"rev": document["_rev"]}, "doc": document}


def lines(*documents: Any) -> bytes:
    return "".join(json.dumps(document) + "\n" for document in documents).encode()


def attachment(audio: bytes, **others: Any) -> dict[str, Any]:
    """Return what CouchDB notes of an attachment."""
    digest = b64encode(hashlib.md5(audio, usedforsecurity=False).digest()).decode()
    return {"content_type": "audio/x-wav", "length": len(audio), "digest": f"md5-{digest}", "stub": True} | others


def loaded(cli: CommandLine, ids: Sequence[str]) -> dict[str, Recording | None]:
    """Return recordings by id."""

    async def load_all() -> dict[str, Recording | None]:
        async with open_services(load({}, {"data": str(cli.data)})) as services:
            return {identity: await services.store.load(identity) for identity in ids}

    return asyncio.run(load_all())


def stored_audio(cli: CommandLine, recording: Recording | None) -> bytes:
    """Return the stored bytes of a recording."""
    assert recording is not None
    assert recording.media is not None
    return (cli.data / "media" / recording.media.url.removeprefix("local:")).read_bytes()


def delete(cli: CommandLine, account: str, recording_id: str) -> None:
    """Put a recording into the trash."""

    async def put_into_the_trash() -> None:
        async with open_services(load({}, {"data": str(cli.data)})) as services:
            principal = Principal(account, frozenset(DEFAULT_SCOPES), None, "tester")
            await services.recordings.delete(principal, recording_id)

    asyncio.run(put_into_the_trash())
