"""The doctor, on a real store, a real folder and a real spool."""

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
from recordings.rules.media_keys import id_of, place_of, plain_place
from recordings.use_cases.doctor import MOST_LOST, Doctor
from recordings.use_cases.doctor_findings import Finding, Issue, Notes
from recordings.use_cases.finalizer import media_key
from tests.contract.metadata.samples import recording as sample
from tests.support.fake_clock import FakeClock
from tests.support.old_installation import set_created

ACCOUNT = "a" * 32
DATA = b"audio " * 1_000


class Clinic:
    """An installation, and what can go wrong with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.store = SqliteStore(folder)
        self.media = open_media_store(None, folder)
        self.spool = FolderSpool(folder)

    def doctor(self, **given: Any) -> Doctor:
        return Doctor(**{
            "store": self.store, "media": self.media, "spool": self.spool, "clock": self.clock, **given,
        })  # fmt: skip

    async def keep(self, data: bytes = DATA, **given: Any) -> Recording:
        """A recording with its audio, long ago."""
        plain = sample(account_id=ACCOUNT, **{"state": State.STORED, **given})
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

    def elsewhere(self, name: str) -> MediaRouter:
        """The media store as it was when audio was put in a folder of this name."""

        async def note(place: str) -> None:
            await self.store.note_place(place, self.clock.now())

        return open_media_store(f"file://{self.folder}/{name}", self.folder, note=note)

    async def leave(self, media: MediaRouter, recording: Recording, data: bytes = DATA) -> str:
        """Put audio somewhere, two days ago."""
        (self.folder / "source").write_bytes(data)
        url = await media.put(media_key(recording, "mp3"), str(self.folder / "source"), "audio/mpeg")
        at = (self.clock.now() - 2 * DAY) / 1_000
        os.utime(url.removeprefix("file://"), (at, at))
        return url

    async def findings(self, **given: Any) -> list[Finding]:
        return [finding async for finding in self.doctor().examine(**given)]


class NoteList(Notes):
    """Keeps all notes of an examination."""

    def __init__(self) -> None:
        self.unlisted: list[tuple[str, str]] = []
        self.unexamined: list[tuple[str, str]] = []
        self.undeleted: list[tuple[str, str]] = []
        self.others: list[str] = []

    def not_listed(self, place: str, reason: str) -> None:
        self.unlisted.append((place, reason))

    def not_examined(self, url: str, reason: str) -> None:
        self.unexamined.append((url, reason))

    def not_deleted(self, place: str, reason: str) -> None:
        self.undeleted.append((place, reason))

    def not_own(self, name: str) -> None:
        self.others.append(name)


def seen(findings: Sequence[Finding]) -> list[tuple[Issue, str | None, bool]]:
    return sorted((finding.issue, finding.recording_id, finding.repaired) for finding in findings)


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[Clinic]:
    made = Clinic(tmp_path)
    await made.store.open()
    await made.store.add_account(Account(id=ACCOUNT, name="x", created=0))
    set_created(tmp_path)
    yield made
    await made.store.close()


async def test_where_all_is_well_nothing_is_found(clinic: Clinic) -> None:
    for _ in range(250):
        await clinic.keep()
    await clinic.keep(id="an imported id / of another system")
    await clinic.keep(state=State.TRASHED)
    told: list[tuple[str, int, int | None]] = []
    assert await clinic.findings(verify=1.0, progress=lambda *said: told.append(said)) == []
    assert told[0] == ("recordings", 100, 252)
    assert ("recordings", 252, 252) in told
    assert ("objects", 252, None) in told


async def test_missing_audio_is_said_once_and_the_recording_is_lost(clinic: Clinic) -> None:
    lost, kept = await clinic.keep(), await clinic.keep()
    assert lost.media is not None
    await clinic.media.delete(lost.media.url)
    assert seen(await clinic.findings()) == [(Issue.MISSING_AUDIO, lost.id, False)]
    assert seen(await clinic.findings(repair=True)) == [(Issue.MISSING_AUDIO, lost.id, True)]
    found = await clinic.store.load(lost.id)
    assert found is not None
    assert (found.state, found.reason) == (State.LOST, Reason.AUDIO_MISSING)
    assert await clinic.findings() == []
    assert (await clinic.store.load(kept.id)) == kept


async def test_what_is_purged_meanwhile_is_no_orphan(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = sample(account_id=ACCOUNT, state=State.PURGED)
    await clinic.store.insert(gone)
    url = await clinic.put(media_key(gone, "mp3"))
    rows = clinic.store.rows

    async def then_delete(*given: Any) -> Any:
        await clinic.media.delete(url)
        return await rows(*given)

    monkeypatch.setattr(clinic.store, "rows", then_delete)
    assert await clinic.findings() == []


async def test_what_is_being_purged_is_not_missing(clinic: Clinic) -> None:
    trashed = await clinic.keep(state=State.TRASHED)
    going = replace(trashed, purge_at=clinic.clock.now(), revision=trashed.revision + 1)
    assert await clinic.store.save(going, trashed.revision)
    assert trashed.media is not None
    await clinic.media.delete(trashed.media.url)
    assert await clinic.findings(repair=True, repair_orphans=9) == []
    kept = replace(going, purge_at=clinic.clock.now() + 1, revision=going.revision + 1)
    assert await clinic.store.save(kept, going.revision)
    assert seen(await clinic.findings(repair=True)) == [(Issue.MISSING_AUDIO, trashed.id, False)]


async def test_a_store_that_is_away_loses_nobodys_recording(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await clinic.keep()

    async def away(_url: str) -> int | None:
        raise ConnectionError

    monkeypatch.setattr(clinic.media, "length", away)
    with pytest.raises(ExceptionGroup):
        await clinic.findings(repair=True)
    assert await clinic.store.load(kept.id) == kept


async def test_a_store_that_lost_everything_is_not_believed_to_the_end(clinic: Clinic) -> None:
    for _ in range(MOST_LOST + 5):
        stored = await clinic.keep()
        assert stored.media is not None
        await clinic.media.delete(stored.media.url)
    findings = await clinic.findings(repair=True)
    assert sum(finding.repaired for finding in findings) == MOST_LOST
    assert len(findings) == MOST_LOST + 5


async def test_wrong_bytes_are_found_by_length_and_by_hash(clinic: Clinic) -> None:
    shorter, other = await clinic.keep(DATA[:-1]), await clinic.keep(b"x" + DATA[1:])
    assert seen(await clinic.findings(repair=True)) == [(Issue.WRONG_LENGTH, shorter.id, False)]
    verified = [finding async for finding in clinic.doctor().verify()]
    assert seen(verified) == [(Issue.WRONG_HASH, other.id, False), (Issue.WRONG_LENGTH, shorter.id, False)]


async def test_a_share_is_verified_as_chance_will_have_it(clinic: Clinic) -> None:
    for _ in range(20):
        await clinic.keep(b"x" + DATA[1:])
    chances = iter([0.05, 0.5] * 10)
    doctor = clinic.doctor(chance=lambda: next(chances))
    assert len([finding async for finding in doctor.verify(0.1)]) == 10


@pytest.mark.parametrize("state", [State.PURGED, State.FAILED, State.DISCARDED])
async def test_audio_that_no_recording_has_is_deleted(clinic: Clinic, state: State) -> None:
    row = sample(account_id=ACCOUNT, state=state)
    await clinic.store.insert(row)
    nobody = sample(account_id=ACCOUNT)
    urls = [await clinic.put(media_key(each, "mp3")) for each in (row, nobody)]
    kept = await clinic.keep()
    for _ in range(17):
        await clinic.keep()
    expected = sorted((Issue.ORPHAN_AUDIO, each.id) for each in (row, nobody))
    assert [found[:2] for found in seen(await clinic.findings())] == expected
    assert seen(await clinic.findings(repair=True)) == [(*found, False) for found in expected]
    repaired = await clinic.findings(repair_orphans=2)
    assert seen(repaired) == [(*found, True) for found in expected]
    assert [await clinic.media.length(url) for url in urls] == [None, None]
    assert kept.media is not None
    assert await clinic.media.length(kept.media.url) == len(DATA)
    assert await clinic.findings() == []


@pytest.mark.parametrize("given", [{"state": State.LOST}, {"state": State.TRASHED, "trashed_from": State.LOST}])
async def test_audio_of_a_lost_recording_is_told_of_and_kept(clinic: Clinic, given: Any) -> None:
    # Its node put it, and died before it noted that down: nothing else is left of it.
    lost = sample(account_id=ACCOUNT, **given)
    await clinic.store.insert(lost)
    url = await clinic.put(media_key(lost, "mp3"))
    assert seen(await clinic.findings(repair=True, repair_orphans=9)) == [(Issue.ORPHAN_AUDIO, lost.id, False)]
    assert await clinic.media.length(url) == len(DATA)


@pytest.mark.parametrize("to", [State.STORED, State.TRASHED])
async def test_what_goes_into_the_trash_or_out_of_it_meanwhile_is_no_orphan(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, to: State
) -> None:
    # Its key does not show its id, so it has to have been seen.
    before = State.STORED if to is State.TRASHED else State.TRASHED
    others = [await clinic.keep(id=f"{number} of another system", state=State.STORED) for number in range(2)]
    moving = await clinic.keep(id="an id / of another system", state=before)
    lengths = clinic.media.lengths

    async def then_move(urls: Sequence[str]) -> Sequence[int | MediaAccessError | None]:
        found = await clinic.store.load(moving.id)
        if found is not None and found.state is before:
            moved = replace(found, state=to, revision=found.revision + 1)
            assert await clinic.store.save(moved, found.revision)
        return await lengths(urls)

    monkeypatch.setattr(clinic.media, "lengths", then_move)
    monkeypatch.setattr("recordings.use_cases.doctor.MAX_PAGE", 1)
    assert await clinic.findings(repair=True, repair_orphans=9) == []
    for each in (moving, *others):
        assert each.media is not None
        assert await clinic.media.length(each.media.url) == len(DATA)


async def test_what_is_being_stored_is_no_orphan(clinic: Clinic) -> None:
    finalizing = sample(account_id=ACCOUNT, state=State.FINALIZING)
    await clinic.store.insert(finalizing)
    await clinic.put(media_key(finalizing, "mp3"), age=30 * DAY)
    await clinic.put(media_key(sample(account_id=ACCOUNT), "mp3"), age=DAY - HOUR)
    assert await clinic.findings(repair=True, repair_orphans=9) == []


async def test_an_object_whose_row_came_meanwhile_is_kept(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    late = sample(account_id=ACCOUNT, state=State.FINALIZING)
    url = await clinic.put(media_key(late, "mp3"))
    rows = clinic.store.rows

    async def then_insert(*given: Any) -> Any:
        found = await rows(*given)
        monkeypatch.undo()
        await clinic.store.insert(late)
        return found

    monkeypatch.setattr(clinic.store, "rows", then_insert)
    assert seen(await clinic.findings(repair=True, repair_orphans=9)) == [(Issue.ORPHAN_AUDIO, late.id, False)]
    assert await clinic.media.length(url) == len(DATA)


async def test_a_copy_elsewhere_is_told_of_and_kept(clinic: Clinic) -> None:
    kept = await clinic.keep()
    assert kept.media is not None
    elsewhere = open_media_store(f"file://{clinic.folder}/elsewhere", clinic.folder)
    url = await elsewhere.put(media_key(kept, "mp3"), str(clinic.folder / "source"), "audio/mpeg")
    os.utime(url.removeprefix("file://"), (0, 0))
    doctor = clinic.doctor(media=elsewhere)
    findings = [finding async for finding in doctor.examine(repair=True, repair_orphans=9)]
    assert seen(findings) == [(Issue.COPY, kept.id, False)]
    assert await elsewhere.length(url) == len(DATA)


async def test_what_is_not_ours_is_left_alone_and_broken_transfers_go(clinic: Clinic) -> None:
    await clinic.put("somebody/elses/file.mp3")
    await clinic.put("readme.txt")
    await clinic.put("a/b/.c.mp3.0011.part")
    fresh = await clinic.put("a/b/.d.mp3.0011.part", age=0)
    notes = NoteList()
    found = await clinic.findings(repair_orphans=1, notes=notes)
    assert seen(found) == [(Issue.ORPHAN_AUDIO, None, True)]
    assert notes.others == ["local:readme.txt", "local:somebody/elses/file.mp3"]
    assert await clinic.media.length(fresh) == len(DATA)


async def test_the_spool_is_freed_of_what_is_done(clinic: Clinic) -> None:
    done = await clinic.keep()
    needed = sample(account_id=ACCOUNT, state=State.FINALIZING)
    await clinic.store.insert(needed)
    # It may be had back out of the trash, and its node adopts what it has then.
    lost = sample(account_id=ACCOUNT, state=State.TRASHED, trashed_from=State.LOST)
    await clinic.store.insert(lost)
    for name in (done.id, needed.id, lost.id, "unknown"):
        await (await clinic.spool.open_body(name, "mp3")).close()
    discarded: list[str] = []

    async def discard(name: str) -> None:
        # Before its spool: whoever starts after a death in between finds it by that.
        assert name in await clinic.spool.ids()
        discarded.append(name)

    assert seen([found async for found in clinic.doctor(discard=discard).examine(repair=True)]) == [
        (Issue.STALE_SPOOL, done.id, True),
        (Issue.STALE_SPOOL, "unknown", False),
    ]
    assert discarded == [done.id]
    assert list(await clinic.spool.ids()) == sorted([needed.id, lost.id, "unknown"])


async def test_memory_does_not_grow_with_the_store(clinic: Clinic) -> None:
    class Endless:
        """A store of very many objects, none of which is kept in memory."""

        def __init__(self, real: MediaRouter) -> None:
            self.real = real
            self.given = 0
            self.asked = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        async def lengths(self, urls: Sequence[str]) -> Sequence[int | MediaAccessError | None]:
            return [1] * len(urls)

        async def objects_at(self, _place: str) -> AsyncIterator[Any]:
            for number in range(10_000):
                self.given += 1
                yield StoredObject(f"local:{ACCOUNT}/202611/202611-{number:032x}.mp3", 1, 0)

    media = Endless(clinic.media)
    most = 0
    count = 0
    async for _finding in clinic.doctor(media=media).examine():
        count += 1
        most = max(most, media.given - count)
    assert count == 10_000
    assert most <= 100


async def test_what_is_left_where_audio_was_put_once_is_found_and_deleted(clinic: Clinic) -> None:
    nobody = sample(account_id=ACCOUNT)
    url = await clinic.leave(clinic.elsewhere("before"), nobody)
    assert await clinic.store.places() == [f"file://{clinic.folder}/before/"]
    assert [(found.url, found.repaired) for found in await clinic.findings()] == [(url, False)]
    # The process that looks next knows nothing but what was written down.
    clinic.media = open_media_store(None, clinic.folder)
    assert [(found.url, found.repaired) for found in await clinic.findings(repair_orphans=1)] == [(url, True)]
    assert await clinic.findings() == []


async def test_where_recordings_lie_is_looked_at_even_if_nobody_wrote_it_down(clinic: Clinic) -> None:
    before = open_media_store(f"file://{clinic.folder}/before", clinic.folder)
    kept, nobody = sample(account_id=ACCOUNT, state=State.STORED), sample(account_id=ACCOUNT)
    url, orphan = await clinic.leave(before, kept), await clinic.leave(before, nobody)
    media = Media(url, "audio/mpeg", len(DATA), 1_000, 8_000, 1, hashlib.sha256(DATA).hexdigest(), 0)
    await clinic.store.insert(replace(kept, media=media))
    assert await clinic.store.places() == []
    assert seen(await clinic.findings(repair_orphans=1)) == [(Issue.ORPHAN_AUDIO, nobody.id, True)]
    assert [await clinic.media.length(each) for each in (url, orphan)] == [len(DATA), None]


async def test_a_place_inside_another_one_is_looked_at_once(clinic: Clinic) -> None:
    outer, inner = clinic.elsewhere("all"), clinic.elsewhere("all/of-it")
    urls = [await clinic.leave(media, sample(account_id=ACCOUNT)) for media in (outer, inner)]
    clinic.media = inner
    told: list[int] = []
    findings = await clinic.findings(progress=lambda what, done, _total: told.append(done) if what == "objects" else 0)
    assert sorted(finding.url or "" for finding in findings) == sorted(urls)
    assert max(told) == 2


async def test_what_cannot_be_listed_is_said_and_the_rest_is_examined(clinic: Clinic) -> None:
    nobody = sample(account_id=ACCOUNT)
    await clinic.leave(clinic.elsewhere("here"), nobody)
    for place in ("https://files.example.org/audio/", "nothing://bucket/", "nothing"):
        await clinic.store.note_place(place, 0)
    notes = NoteList()
    findings = await clinic.findings(notes=notes)
    assert seen(findings) == [(Issue.ORPHAN_AUDIO, nobody.id, False)]
    assert [(place, why[:28]) for place, why in sorted(notes.unlisted)] == [
        ("https://files.example.org/audio/", "this kind of store cannot li"),
        ("nothing", "'nothing' is not a URL for a"),
        ("nothing://bucket/", "Protocol not known: nothing"),
    ]


async def test_a_place_of_now_that_cannot_be_listed_ends_the_examination(clinic: Clinic) -> None:
    found = await clinic.store.account(ACCOUNT)
    assert found is not None
    await clinic.store.save_account(replace(found, media="nothing://bucket"))
    with pytest.raises(ValueError, match="Protocol not known"):
        await clinic.findings()


async def test_however_many_accounts_there_are_all_are_examined(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recordings.ports.account_stores._PAGE", 2)
    lost = []
    for number in range(5):
        account = f"{number:032x}"
        await clinic.store.add_account(Account(id=account, name="x", created=7))
        lost.append(sample(account_id=account, state=State.STORED))
        media = Media(f"local:{media_key(lost[-1], 'mp3')}", "audio/mpeg", 1, 1, 8_000, 1, "", 0)
        await clinic.store.insert(replace(lost[-1], media=media))
    (clinic.folder / "media").mkdir()
    assert {finding.recording_id for finding in await clinic.findings()} == {each.id for each in lost}


@pytest.mark.parametrize(
    ("url", "place"),
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
def test_a_place_is_read_from_urls_that_this_service_made_alone(url: str, place: str | None) -> None:
    assert place_of(url, "202611-0a", ACCOUNT) == place


@pytest.mark.parametrize(
    ("place", "plain"),
    [
        ("https://user:secret@files.example.org/a@b/", "https://files.example.org/a@b/"),
        ("s3://bucket/a/", "s3://bucket/a/"),
        ("file:///var/a@b/", "file:///var/a@b/"),
        ("local:", "local:"),
    ],
)
def test_a_place_is_written_down_without_its_user(place: str, plain: str) -> None:
    assert plain_place(place) == plain


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
def test_an_id_is_read_from_keys_of_ours_alone(url: str, identity: str | None) -> None:
    assert id_of(url) == identity
