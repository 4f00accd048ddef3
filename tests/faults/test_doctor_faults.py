"""The doctor on a real metadata store, a real media folder and a real spool."""

import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.media import MediaRouter, open_media_store
from adapters.metadata.sqlite import SqliteStore
from adapters.spool import FolderSpool
from recordings.model.account import Account
from recordings.model.instants import DAY, HOUR
from recordings.model.recording import Media, Reason, Recording, State
from recordings.ports.audio import MediaAccessError, StoredObject
from recordings.rules.media_keys import id_of, location_of, plain_location, provider_of
from recordings.use_cases.doctor import MOST_LOST, Doctor
from recordings.use_cases.doctor_findings import Finding, Issue, Notes
from recordings.use_cases.finalizer import media_key
from tests.contract.metadata.samples import recording as sample
from tests.support.fake_clock import FakeClock
from tests.support.old_installation import set_created

ACCOUNT = "a" * 32
DATA = b"audio " * 1_000


class DamagedInstallation:
    """An installation, and helpers to damage it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.store = SqliteStore(folder)
        self.media = open_media_store(None, folder)
        self.spool = FolderSpool(folder)

    def doctor(self, **parts: Any) -> Doctor:
        return Doctor(**{
            "store": self.store, "media": self.media, "spool": self.spool, "clock": self.clock, **parts,
        })  # fmt: skip

    async def add(self, data: bytes = DATA, **fields: Any) -> Recording:
        """Add an old recording with its audio."""
        plain = sample(account_id=ACCOUNT, **{"state": State.STORED, **fields})
        url = await self.put(media_key(plain, "mp3"), data)
        digest = hashlib.sha256(DATA).hexdigest()
        media = Media(url, "audio/mpeg", len(DATA), 1_000, 8_000, 1, digest, self.clock.now())
        stored = sample(
            **{name: getattr(plain, name) for name in ("id", "account_id", "state", "call_id")}, media=media
        )
        await self.store.insert(stored)
        return stored

    async def put(self, key: str, data: bytes = DATA, age: int = 2 * DAY) -> str:
        source = self.folder / "source"
        source.write_bytes(data)
        url = await self.media.put(key, str(source), "audio/mpeg")
        self.age(url, age)
        return url

    def age(self, url: str, age: int) -> None:
        at = (self.clock.now() - age) / 1_000
        os.utime(self.folder / "media" / url.removeprefix("local:"), (at, at))

    def media_in(self, name: str) -> MediaRouter:
        """Return a media store that stores new audio in a folder of this name."""

        async def note(location: str) -> None:
            await self.store.note_location(location, self.clock.now())

        return open_media_store(f"file://{self.folder}/{name}", self.folder, note=note)

    async def put_old(self, media: MediaRouter, recording: Recording, data: bytes = DATA) -> str:
        """Store audio in a media store, with a time two days ago."""
        (self.folder / "source").write_bytes(data)
        url = await media.put(media_key(recording, "mp3"), str(self.folder / "source"), "audio/mpeg")
        at = (self.clock.now() - 2 * DAY) / 1_000
        os.utime(url.removeprefix("file://"), (at, at))
        return url

    async def findings(self, **options: Any) -> list[Finding]:
        return [finding async for finding in self.doctor().examine(**options)]


class NoteList(Notes):
    """Keeps all notes of an examination."""

    def __init__(self) -> None:
        self.unlisted: list[tuple[str, str]] = []
        self.unexamined: list[tuple[str, str]] = []
        self.undeleted: list[tuple[str, str]] = []
        self.others: list[str] = []

    def not_listed(self, location: str, reason: str) -> None:
        self.unlisted.append((location, reason))

    def not_examined(self, url: str, reason: str) -> None:
        self.unexamined.append((url, reason))

    def not_deleted(self, location: str, reason: str) -> None:
        self.undeleted.append((location, reason))

    def not_own(self, name: str) -> None:
        self.others.append(name)


def summary(findings: Sequence[Finding]) -> list[tuple[Issue, str | None, bool]]:
    return sorted((finding.issue, finding.recording_id, finding.repaired) for finding in findings)


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[DamagedInstallation]:
    made = DamagedInstallation(tmp_path)
    await made.store.open()
    await made.store.add_account(Account(id=ACCOUNT, name="x", created=0))
    set_created(tmp_path)
    yield made
    await made.store.close()


async def test_an_undamaged_installation_has_no_findings(installation: DamagedInstallation) -> None:
    for _ in range(250):
        await installation.add()
    await installation.add(id="an imported id / of another system")
    await installation.add(state=State.TRASHED)
    progress: list[tuple[str, int, int | None]] = []
    assert await installation.findings(verify=1.0, progress=lambda *report: progress.append(report)) == []
    assert progress[0] == ("recordings", 100, 252)
    assert ("recordings", 252, 252) in progress
    assert ("objects", 252, None) in progress


async def test_missing_audio_is_reported_once_and_the_recording_is_lost(installation: DamagedInstallation) -> None:
    lost, kept = await installation.add(), await installation.add()
    assert lost.media is not None
    await installation.media.delete(lost.media.url)
    assert summary(await installation.findings()) == [(Issue.MISSING_AUDIO, lost.id, False)]
    assert summary(await installation.findings(repair=True)) == [(Issue.MISSING_AUDIO, lost.id, True)]
    found = await installation.store.load(lost.id)
    assert found is not None
    assert (found.state, found.reason) == (State.LOST, Reason.AUDIO_MISSING)
    assert await installation.findings() == []
    assert (await installation.store.load(kept.id)) == kept


async def test_audio_that_is_purged_during_the_check_is_no_orphan(
    installation: DamagedInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = sample(account_id=ACCOUNT, state=State.PURGED)
    await installation.store.insert(gone)
    url = await installation.put(media_key(gone, "mp3"))
    rows = installation.store.rows

    async def then_delete(*arguments: Any) -> Any:
        await installation.media.delete(url)
        return await rows(*arguments)

    monkeypatch.setattr(installation.store, "rows", then_delete)
    assert await installation.findings() == []


async def test_audio_that_is_being_purged_is_not_missing(installation: DamagedInstallation) -> None:
    trashed = await installation.add(state=State.TRASHED)
    going = replace(trashed, purge_at=installation.clock.now(), revision=trashed.revision + 1)
    assert await installation.store.save(going, trashed.revision)
    assert trashed.media is not None
    await installation.media.delete(trashed.media.url)
    assert await installation.findings(repair=True, repair_orphans=9) == []
    kept = replace(going, purge_at=installation.clock.now() + 1, revision=going.revision + 1)
    assert await installation.store.save(kept, going.revision)
    assert summary(await installation.findings(repair=True)) == [(Issue.MISSING_AUDIO, trashed.id, False)]


async def test_an_unreachable_store_makes_no_recording_lost(
    installation: DamagedInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await installation.add()

    async def unreachable(_url: str) -> int | None:
        raise ConnectionError

    monkeypatch.setattr(installation.media, "length", unreachable)
    with pytest.raises(ExceptionGroup):
        await installation.findings(repair=True)
    assert await installation.store.load(kept.id) == kept


async def test_the_number_of_recordings_that_a_repair_marks_as_lost_is_limited(
    installation: DamagedInstallation,
) -> None:
    for _ in range(MOST_LOST + 5):
        stored = await installation.add()
        assert stored.media is not None
        await installation.media.delete(stored.media.url)
    findings = await installation.findings(repair=True)
    assert sum(finding.repaired for finding in findings) == MOST_LOST
    assert len(findings) == MOST_LOST + 5


async def test_wrong_bytes_are_found_by_length_and_by_hash(installation: DamagedInstallation) -> None:
    shorter, other = await installation.add(DATA[:-1]), await installation.add(b"x" + DATA[1:])
    assert summary(await installation.findings(repair=True)) == [(Issue.WRONG_LENGTH, shorter.id, False)]
    verified = [finding async for finding in installation.doctor().verify()]
    assert summary(verified) == [(Issue.WRONG_HASH, other.id, False), (Issue.WRONG_LENGTH, shorter.id, False)]


async def test_a_random_share_is_verified(installation: DamagedInstallation) -> None:
    for _ in range(20):
        await installation.add(b"x" + DATA[1:])
    chances = iter([0.05, 0.5] * 10)
    doctor = installation.doctor(chance=lambda: next(chances))
    assert len([finding async for finding in doctor.verify(0.1)]) == 10


@pytest.mark.parametrize("state", [State.PURGED, State.FAILED, State.DISCARDED])
async def test_audio_without_a_recording_is_deleted(installation: DamagedInstallation, state: State) -> None:
    row = sample(account_id=ACCOUNT, state=state)
    await installation.store.insert(row)
    unknown = sample(account_id=ACCOUNT)
    urls = [await installation.put(media_key(each, "mp3")) for each in (row, unknown)]
    kept = await installation.add()
    for _ in range(17):
        await installation.add()
    expected = sorted((Issue.ORPHAN_AUDIO, each.id) for each in (row, unknown))
    assert [found[:2] for found in summary(await installation.findings())] == expected
    assert summary(await installation.findings(repair=True)) == [(*found, False) for found in expected]
    repaired = await installation.findings(repair_orphans=2)
    assert summary(repaired) == [(*found, True) for found in expected]
    assert [await installation.media.length(url) for url in urls] == [None, None]
    assert kept.media is not None
    assert await installation.media.length(kept.media.url) == len(DATA)
    assert await installation.findings() == []


@pytest.mark.parametrize("fields", [{"state": State.LOST}, {"state": State.TRASHED, "trashed_from": State.LOST}])
async def test_audio_of_a_lost_recording_is_reported_and_kept(installation: DamagedInstallation, fields: Any) -> None:
    # The node stored the audio and was killed before it saved that. This is the only copy.
    lost = sample(account_id=ACCOUNT, **fields)
    await installation.store.insert(lost)
    url = await installation.put(media_key(lost, "mp3"))
    assert summary(await installation.findings(repair=True, repair_orphans=9)) == [(Issue.ORPHAN_AUDIO, lost.id, False)]
    assert await installation.media.length(url) == len(DATA)


@pytest.mark.parametrize("to", [State.STORED, State.TRASHED])
async def test_a_recording_that_moves_to_or_from_the_trash_during_the_check_is_no_orphan(
    installation: DamagedInstallation, monkeypatch: pytest.MonkeyPatch, to: State
) -> None:
    # The id is not part of this key, so the doctor must have seen the recording itself.
    before = State.STORED if to is State.TRASHED else State.TRASHED
    others = [await installation.add(id=f"{number} of another system", state=State.STORED) for number in range(2)]
    moving = await installation.add(id="an id / of another system", state=before)
    lengths = installation.media.lengths

    async def then_move(urls: Sequence[str]) -> Sequence[int | MediaAccessError | None]:
        found = await installation.store.load(moving.id)
        if found is not None and found.state is before:
            moved = replace(found, state=to, revision=found.revision + 1)
            assert await installation.store.save(moved, found.revision)
        return await lengths(urls)

    monkeypatch.setattr(installation.media, "lengths", then_move)
    monkeypatch.setattr("recordings.use_cases.doctor.MAX_PAGE", 1)
    assert await installation.findings(repair=True, repair_orphans=9) == []
    for each in (moving, *others):
        assert each.media is not None
        assert await installation.media.length(each.media.url) == len(DATA)


async def test_audio_that_is_being_stored_is_no_orphan(installation: DamagedInstallation) -> None:
    finalizing = sample(account_id=ACCOUNT, state=State.FINALIZING)
    await installation.store.insert(finalizing)
    await installation.put(media_key(finalizing, "mp3"), age=30 * DAY)
    await installation.put(media_key(sample(account_id=ACCOUNT), "mp3"), age=DAY - HOUR)
    assert await installation.findings(repair=True, repair_orphans=9) == []


async def test_an_object_whose_recording_was_added_during_the_check_is_kept(
    installation: DamagedInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = sample(account_id=ACCOUNT, state=State.FINALIZING)
    url = await installation.put(media_key(late, "mp3"))
    rows = installation.store.rows

    async def then_insert(*arguments: Any) -> Any:
        found = await rows(*arguments)
        monkeypatch.undo()
        await installation.store.insert(late)
        return found

    monkeypatch.setattr(installation.store, "rows", then_insert)
    assert summary(await installation.findings(repair=True, repair_orphans=9)) == [(Issue.ORPHAN_AUDIO, late.id, False)]
    assert await installation.media.length(url) == len(DATA)


async def test_a_copy_in_another_store_is_reported_and_kept(installation: DamagedInstallation) -> None:
    kept = await installation.add()
    assert kept.media is not None
    elsewhere = open_media_store(f"file://{installation.folder}/elsewhere", installation.folder)
    url = await elsewhere.put(media_key(kept, "mp3"), str(installation.folder / "source"), "audio/mpeg")
    os.utime(url.removeprefix("file://"), (0, 0))
    doctor = installation.doctor(media=elsewhere)
    findings = [finding async for finding in doctor.examine(repair=True, repair_orphans=9)]
    assert summary(findings) == [(Issue.COPY, kept.id, False)]
    assert await elsewhere.length(url) == len(DATA)


async def test_unknown_files_are_kept_and_broken_transfers_are_deleted(installation: DamagedInstallation) -> None:
    await installation.put("somebody/elses/file.mp3")
    await installation.put("readme.txt")
    await installation.put("a/b/.c.mp3.0011.part")
    fresh = await installation.put("a/b/.d.mp3.0011.part", age=0)
    notes = NoteList()
    found = await installation.findings(repair_orphans=1, notes=notes)
    assert summary(found) == [(Issue.ORPHAN_AUDIO, None, True)]
    assert notes.others == ["local:readme.txt", "local:somebody/elses/file.mp3"]
    assert await installation.media.length(fresh) == len(DATA)


async def test_unneeded_files_in_the_spool_are_deleted(installation: DamagedInstallation) -> None:
    done = await installation.add()
    needed = sample(account_id=ACCOUNT, state=State.FINALIZING)
    await installation.store.insert(needed)
    # It can be restored from the trash, and then its node adopts the audio.
    lost = sample(account_id=ACCOUNT, state=State.TRASHED, trashed_from=State.LOST)
    await installation.store.insert(lost)
    for name in (done.id, needed.id, lost.id, "unknown"):
        await (await installation.spool.open_body(name, "mp3")).close()
    discarded: list[str] = []

    async def discard(name: str) -> None:
        # Before the spool: after a crash in between, the next process finds the files through the spool.
        assert name in await installation.spool.ids()
        discarded.append(name)

    assert summary([found async for found in installation.doctor(discard=discard).examine(repair=True)]) == [
        (Issue.STALE_SPOOL, done.id, True),
        (Issue.STALE_SPOOL, "unknown", False),
    ]
    assert discarded == [done.id]
    assert list(await installation.spool.ids()) == sorted([needed.id, lost.id, "unknown"])


async def test_memory_does_not_grow_with_the_store(installation: DamagedInstallation) -> None:
    class Endless:
        """A media store with very many objects. It keeps none of them in memory."""

        def __init__(self, real: MediaRouter) -> None:
            self.real = real
            self.listed = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        async def lengths(self, urls: Sequence[str]) -> Sequence[int | MediaAccessError | None]:
            return [1] * len(urls)

        async def objects_at(self, _location: str) -> AsyncIterator[Any]:
            for number in range(10_000):
                self.listed += 1
                yield StoredObject(f"local:{ACCOUNT}/202611/202611-{number:032x}.mp3", 1, 0)

    media = Endless(installation.media)
    most = 0
    count = 0
    async for _finding in installation.doctor(media=media).examine():
        count += 1
        most = max(most, media.listed - count)
    assert count == 10_000
    assert most <= 100


async def test_orphans_in_an_earlier_location_are_found_and_deleted(installation: DamagedInstallation) -> None:
    unknown = sample(account_id=ACCOUNT)
    url = await installation.put_old(installation.media_in("before"), unknown)
    assert await installation.store.locations() == [f"file://{installation.folder}/before/"]
    assert [(found.url, found.repaired) for found in await installation.findings()] == [(url, False)]
    # The next process only knows the locations in the metadata store.
    installation.media = open_media_store(None, installation.folder)
    assert [(found.url, found.repaired) for found in await installation.findings(repair_orphans=1)] == [(url, True)]
    assert await installation.findings() == []


async def test_a_location_that_was_never_noted_is_found_through_its_recordings(
    installation: DamagedInstallation,
) -> None:
    before = open_media_store(f"file://{installation.folder}/before", installation.folder)
    kept, unknown = sample(account_id=ACCOUNT, state=State.STORED), sample(account_id=ACCOUNT)
    url, orphan = await installation.put_old(before, kept), await installation.put_old(before, unknown)
    media = Media(url, "audio/mpeg", len(DATA), 1_000, 8_000, 1, hashlib.sha256(DATA).hexdigest(), 0)
    await installation.store.insert(replace(kept, media=media))
    assert await installation.store.locations() == []
    assert summary(await installation.findings(repair_orphans=1)) == [(Issue.ORPHAN_AUDIO, unknown.id, True)]
    assert [await installation.media.length(each) for each in (url, orphan)] == [len(DATA), None]


async def test_a_location_inside_another_one_is_examined_once(installation: DamagedInstallation) -> None:
    outer, inner = installation.media_in("all"), installation.media_in("all/of-it")
    urls = [await installation.put_old(media, sample(account_id=ACCOUNT)) for media in (outer, inner)]
    installation.media = inner
    counts: list[int] = []
    findings = await installation.findings(
        progress=lambda what, done, _total: counts.append(done) if what == "objects" else None
    )
    assert sorted(finding.url or "" for finding in findings) == sorted(urls)
    assert max(counts) == 2


async def test_a_location_without_a_listing_is_reported_and_the_others_are_examined(
    installation: DamagedInstallation,
) -> None:
    unknown = sample(account_id=ACCOUNT)
    await installation.put_old(installation.media_in("here"), unknown)
    for location in ("https://files.example.org/audio/", "nothing://bucket/", "nothing"):
        await installation.store.note_location(location, 0)
    notes = NoteList()
    findings = await installation.findings(notes=notes)
    assert summary(findings) == [(Issue.ORPHAN_AUDIO, unknown.id, False)]
    assert [(location, why[:28]) for location, why in sorted(notes.unlisted)] == [
        ("https://files.example.org/audio/", "this kind of store cannot li"),
        ("nothing", "'nothing' is not a URL for a"),
        ("nothing://bucket/", "Protocol not known: nothing"),
    ]


async def test_a_current_location_that_cannot_be_listed_ends_the_examination(installation: DamagedInstallation) -> None:
    found = await installation.store.account(ACCOUNT)
    assert found is not None
    await installation.store.save_account(replace(found, media="nothing://bucket"))
    with pytest.raises(ValueError, match="Protocol not known"):
        await installation.findings()


async def test_all_pages_of_accounts_are_examined(
    installation: DamagedInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recordings.ports.account_stores.PAGE", 2)
    lost = []
    for number in range(5):
        account = f"{number:032x}"
        await installation.store.add_account(Account(id=account, name="x", created=7))
        lost.append(sample(account_id=account, state=State.STORED))
        media = Media(f"local:{media_key(lost[-1], 'mp3')}", "audio/mpeg", 1, 1, 8_000, 1, "", 0)
        await installation.store.insert(replace(lost[-1], media=media))
    (installation.folder / "media").mkdir()
    assert {finding.recording_id for finding in await installation.findings()} == {each.id for each in lost}


@pytest.mark.parametrize(
    ("url", "location"),
    [
        (f"s3://bucket/x/{ACCOUNT}/202611/202611-0a.mp3", "s3://bucket/x/"),
        (f"s3://bucket/{ACCOUNT}/202611/202611-0a.mp3", "s3://bucket/"),
        (f"file:///{ACCOUNT}/202611/202611-0a.mp3", "file:///"),
        (f"local:{ACCOUNT}/202611/202611-0a.mp3", None),
        (f"s3://bucket/{ACCOUNT}/202611/202611-0b.mp3", None),
        (f"s3://bucket/{'b' * 32}/202611/202611-0a.mp3", None),
        (f"https://provider.example/{ACCOUNT}/x.mp3", None),
        (f"s3://bucket/{ACCOUNT}/{'0a' * 3}/{'0a' * 32}.mp3", "s3://bucket/"),
    ],
)
def test_a_location_is_read_only_from_urls_that_this_service_made(url: str, location: str | None) -> None:
    assert location_of(url, "202611-0a", ACCOUNT) == location


@pytest.mark.parametrize(
    ("location", "plain"),
    [
        ("https://user:secret@files.example.org/a@b/", "https://files.example.org/a@b/"),
        ("s3://bucket/a/", "s3://bucket/a/"),
        ("file:///var/a@b/", "file:///var/a@b/"),
        ("local:", "local:"),
    ],
)
def test_a_location_is_noted_without_its_user(location: str, plain: str) -> None:
    assert plain_location(location) == plain


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://ada:secret@files.example.org/4930123456/ada.mp3?X-Amz-Signature=1", "https://files.example.org"),
        ("https://files.example.org?number=4930123456", "https://files.example.org"),
        ("file:///var/audio/ada.mp3", "file://"),
        ("local:ada.mp3", "local://"),
    ],
)
def test_a_purge_names_only_the_provider_of_audio_that_stays(url: str, provider: str) -> None:
    assert provider_of(url) == provider


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        (f"local:{ACCOUNT}/202611/202611-0a.mp3", "202611-0a"),
        (f"s3://bucket/x/{ACCOUNT}/abcdef/abcdef.wav", "abcdef"),
        (f"local:{ACCOUNT}/202612/202611-0a.mp3", None),
        (f"local:{ACCOUNT}/202611/202611-0a", None),
        ("local:202611/202611-0a.mp3", None),
        ("local:x.mp3", None),
        ("", None),
    ],
)
def test_an_id_is_read_only_from_keys_of_this_service(url: str, identity: str | None) -> None:
    assert id_of(url) == identity
