"""Audio without a recording is deleted only if nothing looks wrong, and never more than the operator allowed."""

import json
import os
from pathlib import Path

import httpx
import pytest

from adapters.media import open_media_store
from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.sqlite.sqlite_store import FILE
from recordings.model.account import Account
from recordings.model.instants import DAY
from recordings.rules.media_keys import MARK
from recordings.use_cases.finalizer import media_key
from recordings.use_cases.media_owner import check_owner
from tests.contract.metadata.samples import recording as sample
from tests.e2e.server import Server, until
from tests.faults.test_doctor_faults import ACCOUNT, DamagedInstallation, NoteList
from tests.faults.test_doctor_faults import installation as installation  # noqa: PLC0414 - the fixture
from tests.support.old_installation import set_created


async def orphans_of(installation: DamagedInstallation, number: int) -> list[str]:
    return [await installation.put(media_key(sample(account_id=ACCOUNT), "mp3")) for _ in range(number)]


async def remaining(installation: DamagedInstallation, urls: list[str]) -> int:
    return sum(length is not None for length in await installation.media.lengths(urls))


def delete_metadata(data: Path) -> None:
    for file in data.glob(f"{FILE}*"):
        file.unlink()


async def test_no_orphan_is_deleted_without_a_number(installation: DamagedInstallation) -> None:
    for _ in range(20):
        await installation.add()
    orphans = await orphans_of(installation, 2)
    assert len(await installation.findings(repair=True)) == 2
    assert await remaining(installation, orphans) == 2


@pytest.mark.parametrize(("limit", "left"), [(0, 3), (1, 2), (2, 1), (3, 0), (50, 0)])
async def test_at_most_the_given_number_of_orphans_is_deleted(
    installation: DamagedInstallation, limit: int, left: int
) -> None:
    for _ in range(30):
        await installation.add()
    orphans = await orphans_of(installation, 3)
    findings = await installation.findings(repair_orphans=limit)
    assert sum(finding.repaired for finding in findings) == 3 - left
    assert await remaining(installation, orphans) == left


async def test_nothing_is_deleted_if_much_of_a_store_is_orphaned(installation: DamagedInstallation) -> None:
    for _ in range(20):
        await installation.add()
    orphans, notes = await orphans_of(installation, 3), NoteList()
    await installation.findings(repair=True, repair_orphans=100, notes=notes)
    assert await remaining(installation, orphans) == 3
    assert notes.undeleted == [("local:", "3 of its 23 audio files belong to no recording")]


async def test_files_of_others_do_not_hide_the_share_of_orphans(installation: DamagedInstallation) -> None:
    for number in range(40):
        await installation.put(f"holiday/picture-{number}.jpg")
    orphans = await orphans_of(installation, 4)
    await installation.findings(repair_orphans=100)
    assert await remaining(installation, orphans) == 4


async def test_one_store_that_looks_wrong_protects_all_stores(installation: DamagedInstallation) -> None:
    for _ in range(20):
        await installation.add()
    orphans = await orphans_of(installation, 1)
    other = installation.media_in("before")
    wrong = [await installation.put_old(other, sample(account_id=ACCOUNT)) for _ in range(2)]
    await installation.findings(repair_orphans=100)
    assert await remaining(installation, orphans + wrong) == 3


async def test_nothing_is_deleted_if_the_metadata_is_younger_than_the_audio(installation: DamagedInstallation) -> None:
    for _ in range(20):
        await installation.add()
    orphans, notes = await orphans_of(installation, 1), NoteList()
    set_created(installation.folder, installation.clock.now() - DAY)
    await installation.findings(repair_orphans=100, notes=notes)
    assert await remaining(installation, orphans) == 1
    assert "older than the metadata store" in notes.undeleted[0][1]


@pytest.mark.parametrize("mark", [b'{"installation": "another"}', b"", b"[]", b"\xff"])
async def test_nothing_is_deleted_from_a_store_of_another_installation(
    installation: DamagedInstallation, mark: bytes
) -> None:
    for _ in range(20):
        await installation.add()
    orphans, notes = await orphans_of(installation, 1), NoteList()
    (installation.folder / "media.installation").write_bytes(mark)
    await installation.findings(repair_orphans=100, notes=notes)
    assert await remaining(installation, orphans) == 1
    assert "mark names another installation" in notes.undeleted[0][1]
    await installation.media.mark("local:", (await installation.store.installation()).id)
    await installation.findings(repair_orphans=100)
    assert await remaining(installation, orphans) == 0


async def test_nothing_is_deleted_after_the_metadata_vanished(
    installation: DamagedInstallation, tmp_path: Path
) -> None:
    urls = [kept.media.url for kept in [await installation.add() for _ in range(40)] if kept.media is not None]
    await installation.store.close()
    delete_metadata(tmp_path)
    installation.store = SqliteStore(tmp_path)
    await installation.store.open()
    await installation.store.add_account(Account(id="b" * 32, name="y", created=0))
    assert len(await installation.findings(repair=True, repair_orphans=1_000)) == 40
    assert await remaining(installation, urls) == 40


async def test_the_first_audio_marks_the_store_and_a_second_installation_sees_it(tmp_path: Path) -> None:
    first, second = SqliteStore(tmp_path / "a"), SqliteStore(tmp_path / "b")
    media = open_media_store(f"file://{tmp_path}/media", tmp_path)
    await first.open()
    await second.open()
    assert await check_owner(media.default_location, first, media) is None
    assert not (tmp_path / "media").exists(), "its disk may not be mounted"
    (tmp_path / "media").mkdir()
    assert await check_owner(media.default_location, first, media) is None
    assert json.loads((tmp_path / "media" / MARK).read_text()) == {"installation": (await first.installation()).id}
    assert await check_owner(media.default_location, first, media) is None
    problem = await check_owner(media.default_location, second, media)
    assert problem is not None
    assert "mark of another installation" in problem
    await first.close()
    await second.close()


async def test_an_installation_keeps_its_identity(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    await store.open()
    before = await store.installation()
    await store.close()
    await store.open()
    assert await store.installation() == before
    await store.close()


def test_a_new_metadata_store_beside_old_audio_is_reported(tmp_path: Path) -> None:
    for number in range(3):
        path = tmp_path / "data" / "media" / ACCOUNT / "202611" / f"202611-{number:032x}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"audio")
        os.utime(path, (0, 0))
    with Server(tmp_path / "data") as server:
        warnings = until(lambda: httpx.get(f"{server.url}/readyz").json().get("warnings"))
        assert "audio that is older than the metadata" in warnings["installation"]
        assert httpx.get(f"{server.url}/readyz").json()["parts"]["installation"] == "warning"
        assert "media store of another installation" in server.log.read_text()
        assert not (tmp_path / "data" / "media.installation").exists()
