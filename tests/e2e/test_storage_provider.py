"""Imported audio at a storage provider: it is measured, played from there, and never deleted there."""

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import httpx
import pytest

from adapters.rest_v2.recording.v2_document import from_v2
from graph.services import open_services
from graph.settings import load
from recordings.model.recording import Reason, Recording, Reference, State
from recordings.use_cases.import_recording import Imported
from recordings.use_cases.upkeep import MAX_ATTEMPTS
from tests.adapters.archive.test_providers import Atom, stored
from tests.cli.archive_files import document, id_of, lines, name_of
from tests.e2e.server import Server, command, until
from tests.e2e.sound import wav
from tests.e2e.test_archive import mp3
from tests.servers.seaweedfs import BUCKET
from tests.servers.shared_server import Address
from tests.servers.storage_provider import StorageProvider

ACCOUNT = "6b71cb72c876b5b1396a335f8f8a2594"
PRIVATE = {"RECORDINGS_PRIVATE_HOSTS": "127.0.0.1"}
NOTHING: Mapping[str, str] = {}
PATH = "/storage/1.mp3"


@pytest.fixture
def provider() -> Iterator[StorageProvider]:
    with StorageProvider() as provider:
        provider.files[PATH] = mp3(2)
        yield provider


def external(provider: StorageProvider, number: int = 1, **others: Any) -> dict[str, Any]:
    """Return a document whose audio is at the provider."""
    about = {
        "content_type": "audio/mpeg",
        "length": len(provider.files.get(PATH, b"")),
        "stub": False,
        "handler": {"kz_att_http": {"url": provider.url + PATH}},
    }
    name = f"{number}.mp3"
    changes = {"name": name, "media_type": "mp3", "content_type": "audio/mpeg", "_attachments": ...}
    return document(number, ACCOUNT, **changes, pvt_attachments={name: about | others})


class Archive:
    """An installation with one account, and archives to import into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.run("account", "create", "Acme", "--id", ACCOUNT)
        self.key = self.run("key", "create", "--account", ACCOUNT)["key"]

    def run(self, *words: str | Path, expected: int = 0, settings: Mapping[str, str] = NOTHING) -> Any:
        done = command(*words, data=self.data, seconds=60, **settings)
        assert done.returncode == expected, done.stderr
        self.stderr = done.stderr
        return json.loads(done.stdout)

    def take(
        self,
        *documents: dict[str, Any],
        expected: int = 0,
        media: Path | None = None,
        settings: Mapping[str, str] = NOTHING,
    ) -> Any:
        """Import documents."""
        file = self.folder / "export.jsonl"
        file.write_bytes(lines(*documents))
        options = () if media is None else ("--media", media)
        words = ("import", file, "--account", ACCOUNT, *options)
        return self.run(*words, expected=expected, settings=settings)

    def client(self, server: Server) -> httpx.Client:
        return httpx.Client(base_url=server.url, headers={"X-Auth-Token": self.key}, timeout=30)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def node_of(client: httpx.Client, number: int) -> Any:
    query = "{ recordings(first: 50) { nodes { callId state media { place length url } } } }"
    authorization = f"Bearer {client.headers['X-Auth-Token']}"
    found = client.post("/graphql", json={"query": query}, headers={"Authorization": authorization}).json()
    return next(node for node in found["data"]["recordings"]["nodes"] if node["callId"] == f"imp-{number}")


def test_external_audio_is_played_from_its_provider_and_never_deleted(
    provider: StorageProvider, archive: Archive
) -> None:
    audio = provider.files[PATH]
    summary = archive.take(external(provider), settings=PRIVATE)
    assert (summary["with_audio"], summary["bad"]) == (1, 0)
    path = f"/v2/accounts/{ACCOUNT}/recordings/{id_of(1)}"
    with Server(archive.data, **PRIVATE) as server, archive.client(server) as client:
        span = {"created_from": "63877400000", "created_to": "63877600000"}
        (item,) = client.get(f"/v2/accounts/{ACCOUNT}/recordings", params=span).json()["data"]
        assert item["_read_only"] == {"content_types": ["audio/mpeg"]}
        whole = client.get(path, headers={"Accept": "audio/mpeg"})
        assert (whole.status_code, whole.content) == (200, audio)
        part = client.get(path, headers={"Accept": "audio/mpeg", "Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, audio[100:200])
        assert part.headers["content-range"] == f"bytes 100-199/{len(audio)}"
        node = node_of(client, 1)
        assert (node["state"], node["media"]["place"], node["media"]["length"]) == (
            "STORED",
            provider.url,
            len(audio),
        )
        assert httpx.get(node["media"]["url"]).content == audio
        assert httpx.get(f"{node['media']['url']}&format=wav").content[:4] == b"RIFF"
        # Nothing was copied into this service's own store.
        # The seals of the audit trail are there.
        assert [path for path in (archive.data / "media").iterdir() if path.name != "audit"] == []
        assert client.delete(path).status_code == 200
        until(lambda: archive.run("show", id_of(1))["state"] == "PURGED")
    assert provider.files == {PATH: audio}
    assert set(provider.methods) <= {"GET", "HEAD"}


def test_a_server_stores_what_the_import_cannot_reach(provider: StorageProvider, archive: Archive) -> None:
    summary = archive.take(external(provider), expected=4)
    assert (summary["later"], summary["line_numbers"]) == (1, {"later": [1]})
    assert "has no public address" in archive.stderr
    with Server(archive.data, **PRIVATE) as server, archive.client(server) as client:
        until(lambda: node_of(client, 1)["state"] == "STORED")
        assert node_of(client, 1)["media"]["place"] == provider.url


def test_missing_and_different_audio_at_a_provider_is_named_and_repaired(
    provider: StorageProvider, archive: Archive
) -> None:
    audio = provider.files[PATH]
    given = external(provider)
    del provider.files[PATH]
    summary = archive.take(given, expected=3, settings=PRIVATE)
    assert summary["line_numbers"] == {"missing": [1]}
    assert f"{provider.url} has no such audio" in archive.stderr
    provider.files[PATH] = audio[:-1]
    before = archive.run("show", id_of(1))
    again = archive.take(given, expected=3, settings=PRIVATE)
    assert (again["missing"], archive.run("show", id_of(1))) == (1, before)
    provider.files[PATH] = audio
    assert archive.take(given, settings=PRIVATE)["with_audio"] == 1
    assert archive.take(given, settings=PRIVATE)["already_there"] == 1


def test_unplayable_audio_at_a_provider_is_repaired_if_it_changes(provider: StorageProvider, archive: Archive) -> None:
    audio = provider.files[PATH]
    given = external(provider)
    provider.files[PATH] = b"x" * len(audio)
    assert archive.take(given, expected=1, settings=PRIVATE)["unplayable"] == 1
    before = archive.run("show", id_of(1))
    assert archive.take(given, expected=1, settings=PRIVATE)["unplayable"] == 1
    assert archive.run("show", id_of(1)) == before
    provider.files[PATH] = audio
    assert archive.take(given, settings=PRIVATE)["with_audio"] == 1


def test_audio_that_cannot_be_referred_to_is_named(provider: StorageProvider, archive: Archive) -> None:
    given = [
        external(provider, number, handler=handler)
        for number, handler in enumerate(
            (
                {"kz_att_http": {"url": f"file://{archive.data}/secret.key"}},
                {"kz_att_ftp": {"url": "ftp://example.com/x"}},
                {"kz_att_dropbox": {"dropbox": "AAAA"}},
                {"kz_att_s3": {"S3": "no term"}},
                "kz_att_http",
            )
        )
    ]
    summary = archive.take(*given, expected=3, settings=PRIVATE)
    assert summary["line_numbers"] == {"missing": [1, 2, 3, 4, 5]}
    assert archive.stderr.count("copy the audio into the folder for --media") == 5
    assert provider.methods == []
    # A file in the folder is used instead.
    media = archive.folder / "media"
    media.mkdir()
    for each in given:
        (media / each["name"]).write_bytes(provider.files[PATH])
    assert archive.take(*given, media=media)["with_audio"] == 5


def test_audio_in_s3_is_played_with_the_credentials_of_the_service(archive: Archive, seaweedfs: Address) -> None:
    audio, key = mp3(2), f"{uuid.uuid4().hex}/call 1.mp3"
    access = {"aws_access_key_id": seaweedfs["key"], "aws_secret_access_key": seaweedfs["secret"]}
    s3 = botocore.session.get_session().create_client(
        "s3", region_name="us-east-1", endpoint_url=seaweedfs["s3"], **access
    )
    s3.put_object(Bucket=BUCKET, Key=key, Body=audio)
    term = {Atom("key"): "of the archive", Atom("secret"): "hidden", Atom("bucket"): BUCKET}
    attachments = {"1.mp3": {"length": len(audio), "handler": {"kz_att_s3": {"S3": stored((term, key))}}}}
    options = archive.folder / "options.json"
    given = {"endpoint_url": seaweedfs["s3"], "key": seaweedfs["key"], "secret": seaweedfs["secret"]}
    options.write_text(json.dumps({f"s3://{BUCKET}/": given}))
    options.chmod(0o600)
    settings = {"RECORDINGS_MEDIA_OPTIONS": str(options)}
    changes = {"name": "1.mp3", "media_type": "mp3", "_attachments": ..., "pvt_attachments": attachments}
    assert archive.take(document(1, ACCOUNT, **changes), settings=settings)["with_audio"] == 1
    with Server(archive.data, **settings) as server, archive.client(server) as client:
        assert node_of(client, 1)["media"]["place"] == f"s3://{BUCKET}"
        path = f"/v2/accounts/{ACCOUNT}/recordings/{id_of(1)}"
        part = client.get(path, headers={"Accept": "audio/mpeg", "Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, audio[5:10])
        assert client.delete(path).status_code == 200
        until(lambda: archive.run("show", id_of(1))["state"] == "PURGED")
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == audio
    s3.close()


def test_a_provider_that_stays_unreachable_is_given_up(tmp_path: Path) -> None:
    async def lose() -> Recording:
        async with open_services(load({}, {"data": str(tmp_path / "data")})) as services:
            account = await services.accounts.create_account("Acme")
            recording = from_v2(document(1, account.id), account, services.clock.now())
            reference = Reference(f"http://user:hidden@127.0.0.1{PATH}?key=hidden")
            result = await services.importer.take(recording, reference=reference)
            assert (result.outcome, "has no public address" in str(result.detail)) == (Imported.LATER, True)
            while (found := await services.store.load(recording.id)) is not None and found.state is State.FINALIZING:
                due = replace(
                    found, due_at=0, attempts=max(found.attempts, MAX_ATTEMPTS - 2), revision=found.revision + 1
                )
                assert await services.store.save(due, found.revision)
                (claimed,) = await services.upkeep.claim(1)
                await services.upkeep.step(claimed)
            assert found is not None
            return found

    lost = asyncio.run(lose())
    assert (lost.state, lost.reason) == (State.LOST, Reason.AUDIO_MISSING)
    assert lost.reason_detail == "audio at http://127.0.0.1: the host '127.0.0.1' has no public address"


def test_the_doctor_examines_audio_at_providers_and_skips_unreachable_ones(
    provider: StorageProvider, archive: Archive
) -> None:
    archive.take(external(provider), external(provider, 2), settings=PRIVATE)
    done = command("doctor", data=archive.data, seconds=60, **PRIVATE)
    assert (done.returncode, done.stdout) == (0, "")
    audio = provider.files.pop(PATH)
    done = command("doctor", "--repair-orphans", "9", data=archive.data, seconds=60, **PRIVATE)
    assert [json.loads(line)["problem"] for line in done.stdout.splitlines()] == ["MISSING_AUDIO"] * 2
    provider.files[PATH] = audio + b"x"
    done = command("doctor", data=archive.data, seconds=60, **PRIVATE)
    assert [json.loads(line)["problem"] for line in done.stdout.splitlines()] == ["WRONG_LENGTH"] * 2
    unreachable = command("doctor", data=archive.data, seconds=60)
    assert unreachable.stdout == ""
    assert "not examined: the audio of 2 recordings" in unreachable.stderr
    assert provider.files == {PATH: audio + b"x"}


def test_a_file_in_the_folder_comes_before_the_provider(provider: StorageProvider, archive: Archive) -> None:
    media = archive.folder / "media"
    media.mkdir()
    (media / "1.mp3").write_bytes(provider.files[PATH])
    assert archive.take(external(provider), media=media, settings=PRIVATE)["with_audio"] == 1
    assert provider.methods == []
    assert archive.run("show", id_of(1))["audio"]["place"] is None


def test_a_document_cannot_claim_audio_of_another_recording(archive: Archive, provider: StorageProvider) -> None:
    media = archive.folder / "media"
    media.mkdir()
    (media / name_of(1)).write_bytes(wav(1))
    archive.take(document(1, ACCOUNT), media=media)
    claim = external(provider, 2, handler={"kz_att_http": {"url": f"{provider.url}/{ACCOUNT}/202403/{id_of(1)}.wav"}})
    summary = archive.take(claim, expected=1, settings=PRIVATE | {"RECORDINGS_MEDIA": provider.url})
    assert summary["bad"] == 1
    assert "inside a media store of this service" in archive.stderr
