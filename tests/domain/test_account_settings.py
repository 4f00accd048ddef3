"""Retention rules and the other settings of an account, on a real store."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recordings.model.errors import Conflict, InvalidInput, InvalidState, NotFound
from recordings.model.events import Trashed
from recordings.model.instants import DAY, to_iso
from recordings.model.query import Count
from recordings.model.recording import Hold, Recording, State
from recordings.model.retention import MAX_DAYS, Retention
from recordings.rules.lifecycle import apply
from recordings.use_cases.account_settings import AccountSettings
from tests.contract.metadata.samples import recording as sample
from tests.support.memory_installation import ACCOUNT, CHILD, Installation, open_installation, principal

CALLER = principal()


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path) as opened:
        yield opened


@pytest.fixture
def settings(installation: Installation) -> AccountSettings:
    return AccountSettings(installation.store, installation.clock, installation.audit)


async def add(installation: Installation, age: int = 0, **fields: Any) -> Recording:
    start = installation.clock.now() - age * DAY
    made = sample(**{"account_id": ACCOUNT, "start": start, "created": start, **fields})
    await installation.store.insert(made)
    return made


async def date(installation: Installation, recording: Recording) -> int | None:
    found = await installation.store.load(recording.id)
    assert found is not None
    return found.delete_at


async def test_a_rule_applies_to_existing_recordings_page_by_page(
    installation: Installation, settings: AccountSettings
) -> None:
    made = [await add(installation, age) for age in range(250)]
    other = await add(installation, account_id=CHILD)
    seen: list[tuple[int, int | None]] = []
    effect = await settings.set_rule(
        ACCOUNT, Retention(200), progress=lambda _what, done, total: seen.append((done, total))
    )
    assert seen == [(100, 250), (200, 250), (250, 250)]
    assert [await date(installation, each) for each in made] == [each.start + 200 * DAY for each in made]
    assert await date(installation, other) is None
    assert (effect.seen, effect.changed, effect.at_once, effect.for_good) == (250, 250, 50, 0)
    assert sum(effect.dates.values()) == 250
    assert effect.dates[to_iso(installation.clock.now() + 200 * DAY)[:10]] == 1
    due = [
        found.id
        for each in made
        if (found := await installation.store.load(each.id)) and found.due_at == found.delete_at
    ]
    assert len(due) == 250


async def test_setting_the_same_rule_again_changes_nothing(
    installation: Installation, settings: AccountSettings
) -> None:
    made = await add(installation)
    assert (await settings.set_rule(ACCOUNT, Retention(7))).changed == 1
    before = await installation.store.load(made.id)
    assert (await settings.set_rule(ACCOUNT, Retention(7))).changed == 0
    assert await installation.store.load(made.id) == before


async def test_a_dry_run_reports_the_effect_of_the_real_run(
    installation: Installation, settings: AccountSettings
) -> None:
    held = Hold("me", 1, "a case")
    made = {
        "old": await add(installation, 30),
        "held": await add(installation, 30, hold=held),
        "new": await add(installation, 1),
        "labelled": await add(installation, 1, label="Order"),
        "deleted": await add(installation, 30, state=State.TRASHED, trashed_from=State.STORED, purge_at=1),
        "live": await add(installation, 0, state=State.RECORDING),
        "finalizing": await add(installation, 0, state=State.FINALIZING),
        "lost": await add(installation, 30, state=State.LOST),
    }
    await settings.set_rule(ACCOUNT, Retention(100, "Order"))
    before = {name: await installation.store.load(each.id) for name, each in made.items()}
    dry = await settings.set_rule(ACCOUNT, Retention(10), dry_run=True)
    assert {name: await installation.store.load(each.id) for name, each in made.items()} == before
    assert await settings.rules(ACCOUNT) == (Retention(100, "Order"),)
    assert (dry.seen, dry.changed, dry.at_once, dry.held) == (7, 4, 2, 1)
    assert await settings.set_rule(ACCOUNT, Retention(10)) == dry
    assert await settings.rules(ACCOUNT) == (Retention(10), Retention(100, "Order"))
    dates = {name: await date(installation, each) for name, each in made.items()}
    assert {name for name, at in dates.items() if at is None} == {"deleted", "live", "finalizing"}
    assert dates["labelled"] == made["labelled"].start + 100 * DAY
    again = await installation.store.load(made["held"].id)
    assert again is not None
    assert (again.delete_at, again.due_at) == (made["held"].start + 10 * DAY, None)


async def test_recordings_deleted_during_the_run_are_not_counted(
    installation: Installation, settings: AccountSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted, removed, made = [await add(installation) for _ in range(3)]
    load = installation.store.load

    async def load_late(recording_id: str) -> Recording | None:
        if recording_id == removed.id:
            return None
        found = await load(recording_id)
        if recording_id != deleted.id or found is None:
            return found
        trashed = apply(found, Trashed(at=installation.clock.now(), by="me", purge_at=installation.clock.now() + DAY))
        assert await installation.store.save(trashed, found.revision)
        # The first read returns the row from before the deletion, the next one the row after it.
        return trashed if found.revision else found

    monkeypatch.setattr(installation.store, "load", load_late)
    effect = await settings.set_rule(ACCOUNT, Retention(7))
    monkeypatch.undo()
    assert (effect.seen, effect.changed) == (3, 1)
    assert await date(installation, made) == made.start + 7 * DAY
    assert await date(installation, deleted) is None


async def test_a_recording_that_keeps_changing_is_a_conflict(
    installation: Installation, settings: AccountSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await add(installation)

    async def lose(*_arguments: Any) -> bool:
        return False

    with monkeypatch.context() as patched:
        patched.setattr(installation.store, "save", lose)
        with pytest.raises(Conflict, match="try again"):
            await settings.set_rule(ACCOUNT, Retention(7))
    assert (await settings.set_rule(ACCOUNT, Retention(7))).changed == 1
    assert await date(installation, made) == made.start + 7 * DAY


async def test_a_restored_recording_follows_the_current_rules(
    installation: Installation, settings: AccountSettings
) -> None:
    made = [await add(installation, 1) for _ in range(2)]
    await settings.set_rule(ACCOUNT, Retention(30))
    for each in made:
        await installation.service.delete(CALLER, each.id)
    await settings.set_rule(ACCOUNT, Retention(100))
    longer = await installation.service.restore(CALLER, made[0].id)
    assert longer.delete_at == longer.due_at == made[0].start + 100 * DAY
    await settings.clear_rule(ACCOUNT, None)
    assert (await installation.service.restore(CALLER, made[1].id)).delete_at is None


async def test_another_change_of_the_account_during_the_run_is_kept(
    installation: Installation, settings: AccountSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = installation.store.count

    async def count_after_a_change(*fields: Any) -> Count:
        await settings.amend(ACCOUNT, media="s3://bucket/acme")
        return await count(*fields)

    monkeypatch.setattr(installation.store, "count", count_after_a_change)
    await settings.set_rule(ACCOUNT, Retention(30))
    account = await installation.store.account(ACCOUNT)
    assert account is not None
    assert (account.media, account.retention) == ("s3://bucket/acme", (Retention(30),))


async def test_clearing_a_rule_keeps_the_other_rules(installation: Installation, settings: AccountSettings) -> None:
    order, plain = await add(installation, label="Order"), await add(installation)
    await settings.set_rule(ACCOUNT, Retention(100))
    await settings.set_rule(ACCOUNT, Retention(5, "Order"))
    assert (await settings.clear_rule(ACCOUNT, "Order", dry_run=True)).changed == 1
    assert await date(installation, order) == order.start + 5 * DAY
    assert (await settings.clear_rule(ACCOUNT, "Order")).changed == 1
    assert await date(installation, order) == order.start + 100 * DAY
    effect = await settings.clear_rule(ACCOUNT, None)
    assert (effect.changed, effect.for_good, effect.dates) == (2, 2, {})
    assert (await date(installation, order), await date(installation, plain)) == (None, None)
    with pytest.raises(NotFound, match="no rule for all labels"):
        await settings.clear_rule(ACCOUNT, None)
    with pytest.raises(NotFound, match="no rule for 'Order'"):
        await settings.clear_rule(ACCOUNT, "Order")


@pytest.mark.parametrize("label", ["", "x" * 129, "a\0", "\udcff"])
async def test_a_rule_for_a_label_that_no_recording_can_have_is_refused(settings: AccountSettings, label: str) -> None:
    with pytest.raises(InvalidInput, match="label must be a label of 1 to 128 characters"):
        await settings.set_rule(ACCOUNT, Retention(5, label))
    assert await settings.rules(ACCOUNT) == ()


@pytest.mark.parametrize("days", [0, MAX_DAYS + 1])
async def test_an_invalid_rule_is_refused_and_changes_nothing(
    installation: Installation, settings: AccountSettings, days: int
) -> None:
    made = await add(installation)
    with pytest.raises(InvalidInput):
        await settings.set_rule(ACCOUNT, Retention(days))
    assert (await settings.rules(ACCOUNT), await date(installation, made)) == ((), None)


async def test_an_unknown_account_is_not_found(settings: AccountSettings) -> None:
    for account in ("e" * 32, "nobody"):
        with pytest.raises(NotFound, match="there is no account"):
            await settings.rules(account)
        with pytest.raises(NotFound, match="there is no account"):
            await settings.set_rule(account, Retention(1))
        with pytest.raises(NotFound, match="there is no account"):
            await settings.amend(account, name="x")


async def test_a_new_name_and_media_url_keep_the_other_settings(
    installation: Installation, settings: AccountSettings
) -> None:
    await settings.set_rule(ACCOUNT, Retention(7))
    before = await installation.store.account(ACCOUNT)
    assert before is not None
    amended = await settings.amend(ACCOUNT, name="Acme", media="s3://bucket/acme")
    assert (amended.name, amended.media) == ("Acme", "s3://bucket/acme")
    assert await installation.store.account(ACCOUNT) == amended
    assert (amended.retention, amended.created, amended.tree) == (before.retention, before.created, before.tree)
    assert (await settings.amend(ACCOUNT, media="")).media is None
    assert (await settings.amend(ACCOUNT, name="Acme & Co")).name == "Acme & Co"


async def test_a_new_name_keeps_the_media_url_and_the_numbers(settings: AccountSettings) -> None:
    before = await settings.amend(ACCOUNT, media="s3://bucket/acme", numbers=["+4930123"])
    assert await settings.amend(ACCOUNT, name="Acme") == replace(before, name="Acme")


async def test_a_name_has_up_to_128_printable_characters(installation: Installation, settings: AccountSettings) -> None:
    for name in ("x", "x" * 128):
        assert (await settings.amend(ACCOUNT, name=name)).name == name
    for name in ("", " ", "x" * 129, "a\nb"):
        with pytest.raises(InvalidInput):
            await settings.amend(ACCOUNT, name=name)
    made = await installation.store.account(ACCOUNT)
    assert made is not None
    assert made.name == "x" * 128


async def test_new_numbers_keep_the_other_settings(installation: Installation, settings: AccountSettings) -> None:
    before = await installation.store.account(ACCOUNT)
    assert before is not None
    amended = await settings.amend(ACCOUNT, numbers=["+4930123", "030123"])
    assert await installation.store.account(ACCOUNT) == amended == replace(before, numbers=("+4930123", "030123"))
    for number in ("", "12", "x", "+", "1" * 16, "+1 2 3", "\u0664" * 4):
        with pytest.raises(InvalidInput, match="3 to 15 digits"):
            await settings.amend(ACCOUNT, numbers=[number])
    with pytest.raises(InvalidInput, match="at most 100"):
        await settings.amend(ACCOUNT, numbers=["123"] * 101)
    assert await installation.store.account(ACCOUNT) == amended
    assert (await settings.amend(ACCOUNT, numbers=[])).numbers == ()


@pytest.mark.parametrize(
    "url",
    [
        "bucket/acme",
        "s3:bucket",
        "://h/x",
        "http://h/x#a",
        "s3://a\x7fb",
        "s3://" + "x" * 2_044,
        "http://me:secret@h/x",
        "http://me@h/x",
        "http://h/x?key=1",
        "s3://a b",
        "s3://[",
    ],
)
async def test_a_media_url_must_be_absolute_and_without_secrets(
    installation: Installation, settings: AccountSettings, url: str
) -> None:
    before = await installation.store.account(ACCOUNT)
    with pytest.raises(InvalidInput, match="without user, password"):
        await settings.amend(ACCOUNT, media=url)
    assert await installation.store.account(ACCOUNT) == before


async def test_a_realm_is_set_and_removed(installation: Installation, settings: AccountSettings) -> None:
    before = await installation.store.account(ACCOUNT)
    assert before is not None
    assert before.realm == f"{ACCOUNT[:12]}.sip.invalid"
    assert (await settings.amend(ACCOUNT, realm="Acme.SIP.example.com")).realm == "acme.sip.example.com"
    with pytest.raises(InvalidState, match="another account has the realm"):
        await settings.amend(CHILD, realm="acme.sip.example.com")
    assert (await settings.amend(ACCOUNT, name="New")).realm == "acme.sip.example.com"
    assert await settings.amend(ACCOUNT, name=before.name, realm="") == before
    assert (await settings.amend(CHILD, realm="acme.sip.example.com")).realm == "acme.sip.example.com"


@pytest.mark.parametrize(
    "realm",
    [
        *[
            "a b",
            "a@b",
            "a..b",
            ".a",
            "a.",
            "-a",
            "a-",
            "ä.example.com",
            "a/b",
            "a\n",
            "a:5060",
            "x" * 64,
            "a." * 127 + "a",
        ],
        # These could be the default realm of another account.
        *[f"{CHILD[:12]}.sip.invalid", "x.INVALID"],
    ],
)
async def test_a_realm_is_a_host_name(settings: AccountSettings, realm: str) -> None:
    with pytest.raises(InvalidInput):
        await settings.amend(ACCOUNT, realm=realm)


@pytest.mark.parametrize("realm", ["localhost", "10.0.0.1", "_sip._udp.x", "a-b.c", "x" * 63, "a." * 126 + "a"])
async def test_realms_that_are_allowed(settings: AccountSettings, realm: str) -> None:
    assert (await settings.amend(ACCOUNT, realm=realm)).realm == realm
