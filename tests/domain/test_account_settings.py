"""Rules of retention and what else an account decides, over a real store."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recordings.model.errors import Conflict, InvalidInput, NotFound
from recordings.model.events import Trashed
from recordings.model.instants import DAY, to_iso
from recordings.model.recording import Hold, Recording, State
from recordings.model.retention import MAX_DAYS, Retention
from recordings.rules.lifecycle import apply
from recordings.use_cases.account_settings import AccountSettings
from tests.contract.metadata.samples import recording as sample
from tests.support.memory_installation import ACCOUNT, CHILD, Installation, open_installation, principal

ME = principal()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path) as opened:
        yield opened


@pytest.fixture
def keeping(house: Installation) -> AccountSettings:
    return AccountSettings(house.store, house.clock)


async def keep(house: Installation, age: int = 0, **given: Any) -> Recording:
    start = house.clock.now() - age * DAY
    kept = sample(**{"account_id": ACCOUNT, "start": start, "created": start, **given})
    await house.store.insert(kept)
    return kept


async def date(house: Installation, recording: Recording) -> int | None:
    found = await house.store.load(recording.id)
    assert found is not None
    return found.delete_at


async def test_a_rule_reaches_what_is_there_page_by_page(house: Installation, keeping: AccountSettings) -> None:
    kept = [await keep(house, age) for age in range(250)]
    elsewhere = await keep(house, account_id=CHILD)
    seen: list[tuple[int, int | None]] = []
    outcome = await keeping.set_rule(
        ACCOUNT, Retention(200), progress=lambda _what, done, total: seen.append((done, total))
    )
    assert seen == [(100, 250), (200, 250), (250, 250)]
    assert [await date(house, each) for each in kept] == [each.start + 200 * DAY for each in kept]
    assert await date(house, elsewhere) is None
    assert (outcome.seen, outcome.changed, outcome.at_once, outcome.for_good) == (250, 250, 50, 0)
    assert sum(outcome.dates.values()) == 250
    assert outcome.dates[to_iso(house.clock.now() + 200 * DAY)[:10]] == 1
    due = [found.id for each in kept if (found := await house.store.load(each.id)) and found.due_at == found.delete_at]
    assert len(due) == 250


async def test_the_same_rule_again_changes_nothing(house: Installation, keeping: AccountSettings) -> None:
    kept = await keep(house)
    assert (await keeping.set_rule(ACCOUNT, Retention(7))).changed == 1
    before = await house.store.load(kept.id)
    assert (await keeping.set_rule(ACCOUNT, Retention(7))).changed == 0
    assert await house.store.load(kept.id) == before


async def test_a_dry_run_says_what_the_run_then_does(house: Installation, keeping: AccountSettings) -> None:
    held = Hold("me", 1, "a case")
    made = {
        "old": await keep(house, 30),
        "held": await keep(house, 30, hold=held),
        "new": await keep(house, 1),
        "labelled": await keep(house, 1, label="Order"),
        "deleted": await keep(house, 30, state=State.TRASHED, trashed_from=State.STORED, purge_at=1),
        "live": await keep(house, 0, state=State.RECORDING),
        "finalizing": await keep(house, 0, state=State.FINALIZING),
        "lost": await keep(house, 30, state=State.LOST),
    }
    await keeping.set_rule(ACCOUNT, Retention(100, "Order"))
    before = {name: await house.store.load(each.id) for name, each in made.items()}
    dry = await keeping.set_rule(ACCOUNT, Retention(10), dry_run=True)
    assert {name: await house.store.load(each.id) for name, each in made.items()} == before
    assert await keeping.rules(ACCOUNT) == (Retention(100, "Order"),)
    assert (dry.seen, dry.changed, dry.at_once, dry.held) == (7, 4, 2, 1)
    assert await keeping.set_rule(ACCOUNT, Retention(10)) == dry
    assert await keeping.rules(ACCOUNT) == (Retention(10), Retention(100, "Order"))
    dates = {name: await date(house, each) for name, each in made.items()}
    assert {name for name, at in dates.items() if at is None} == {"deleted", "live", "finalizing"}
    assert dates["labelled"] == made["labelled"].start + 100 * DAY
    again = await house.store.load(made["held"].id)
    assert again is not None
    assert (again.delete_at, again.due_at) == (made["held"].start + 10 * DAY, None)


async def test_what_was_deleted_or_removed_meanwhile_is_not_counted(
    house: Installation, keeping: AccountSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted, removed, kept = [await keep(house) for _ in range(3)]
    load = house.store.load

    async def load_late(recording_id: str) -> Recording | None:
        if recording_id == removed.id:
            return None
        found = await load(recording_id)
        if recording_id != deleted.id or found is None:
            return found
        trashed = apply(found, Trashed(at=house.clock.now(), by="me", purge_at=house.clock.now() + DAY))
        assert await house.store.save(trashed, found.revision)
        # As it is read just before, or just after that.
        return trashed if found.revision else found

    monkeypatch.setattr(house.store, "load", load_late)
    outcome = await keeping.set_rule(ACCOUNT, Retention(7))
    monkeypatch.undo()
    assert (outcome.seen, outcome.changed) == (3, 1)
    assert await date(house, kept) == kept.start + 7 * DAY
    assert await date(house, deleted) is None


async def test_a_recording_that_keeps_changing_is_not_passed_over(
    house: Installation, keeping: AccountSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await keep(house)

    async def lose(recording: Recording, expected: int) -> bool:
        return False

    with monkeypatch.context() as patched:
        patched.setattr(house.store, "save", lose)
        with pytest.raises(Conflict, match="try again"):
            await keeping.set_rule(ACCOUNT, Retention(7))
    assert (await keeping.set_rule(ACCOUNT, Retention(7))).changed == 1
    assert await date(house, kept) == kept.start + 7 * DAY


async def test_what_is_restored_has_its_date_by_the_rules_of_then(
    house: Installation, keeping: AccountSettings
) -> None:
    kept = [await keep(house, 1) for _ in range(2)]
    await keeping.set_rule(ACCOUNT, Retention(30))
    for each in kept:
        await house.service.delete(ME, each.id)
    await keeping.set_rule(ACCOUNT, Retention(100))
    longer = await house.service.restore(ME, kept[0].id)
    assert longer.delete_at == longer.due_at == kept[0].start + 100 * DAY
    await keeping.clear_rule(ACCOUNT, None)
    assert (await house.service.restore(ME, kept[1].id)).delete_at is None


async def test_whatever_else_is_decided_meanwhile_is_not_undone(
    house: Installation, keeping: AccountSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = house.store.count

    async def meanwhile(*given: Any) -> int:
        await keeping.amend(ACCOUNT, media="s3://bucket/acme")
        return await count(*given)

    monkeypatch.setattr(house.store, "count", meanwhile)
    await keeping.set_rule(ACCOUNT, Retention(30))
    account = await house.store.account(ACCOUNT)
    assert account is not None
    assert (account.media, account.retention) == ("s3://bucket/acme", (Retention(30),))


async def test_a_rule_that_is_cleared_leaves_the_others(house: Installation, keeping: AccountSettings) -> None:
    order, plain = await keep(house, label="Order"), await keep(house)
    await keeping.set_rule(ACCOUNT, Retention(100))
    await keeping.set_rule(ACCOUNT, Retention(5, "Order"))
    assert (await keeping.clear_rule(ACCOUNT, "Order", dry_run=True)).changed == 1
    assert await date(house, order) == order.start + 5 * DAY
    assert (await keeping.clear_rule(ACCOUNT, "Order")).changed == 1
    assert await date(house, order) == order.start + 100 * DAY
    outcome = await keeping.clear_rule(ACCOUNT, None)
    assert (outcome.changed, outcome.for_good, outcome.dates) == (2, 2, {})
    assert (await date(house, order), await date(house, plain)) == (None, None)
    with pytest.raises(NotFound, match="no rule for all labels"):
        await keeping.clear_rule(ACCOUNT, None)
    with pytest.raises(NotFound, match="no rule for 'Order'"):
        await keeping.clear_rule(ACCOUNT, "Order")


@pytest.mark.parametrize("days", [0, MAX_DAYS + 1])
async def test_a_rule_out_of_bounds_is_refused_and_changes_nothing(
    house: Installation, keeping: AccountSettings, days: int
) -> None:
    kept = await keep(house)
    with pytest.raises(InvalidInput):
        await keeping.set_rule(ACCOUNT, Retention(days))
    assert (await keeping.rules(ACCOUNT), await date(house, kept)) == ((), None)


async def test_an_account_has_to_be_there(keeping: AccountSettings) -> None:
    for account in ("e" * 32, "nobody"):
        with pytest.raises(NotFound, match="there is no account"):
            await keeping.rules(account)
        with pytest.raises(NotFound, match="there is no account"):
            await keeping.set_rule(account, Retention(1))
        with pytest.raises(NotFound, match="there is no account"):
            await keeping.amend(account, name="x")


async def test_a_name_and_a_place_are_kept_and_the_rest_stays(house: Installation, keeping: AccountSettings) -> None:
    await keeping.set_rule(ACCOUNT, Retention(7))
    before = await house.store.account(ACCOUNT)
    assert before is not None
    amended = await keeping.amend(ACCOUNT, name="Acme", media="s3://bucket/acme")
    assert (amended.name, amended.media) == ("Acme", "s3://bucket/acme")
    assert await house.store.account(ACCOUNT) == amended
    assert (amended.retention, amended.created, amended.tree) == (before.retention, before.created, before.tree)
    assert (await keeping.amend(ACCOUNT, media="")).media is None
    assert (await keeping.amend(ACCOUNT, name="Acme & Co")).name == "Acme & Co"


async def test_a_new_name_leaves_the_place_and_the_numbers(keeping: AccountSettings) -> None:
    before = await keeping.amend(ACCOUNT, media="s3://bucket/acme", numbers=["+4930123"])
    assert await keeping.amend(ACCOUNT, name="Acme") == replace(before, name="Acme")


async def test_a_name_has_up_to_128_printable_characters(house: Installation, keeping: AccountSettings) -> None:
    for name in ("x", "x" * 128):
        assert (await keeping.amend(ACCOUNT, name=name)).name == name
    for name in ("", "x" * 129, "a\nb"):
        with pytest.raises(InvalidInput):
            await keeping.amend(ACCOUNT, name=name)
    kept = await house.store.account(ACCOUNT)
    assert kept is not None
    assert kept.name == "x" * 128


async def test_numbers_are_kept_and_the_rest_stays(house: Installation, keeping: AccountSettings) -> None:
    before = await house.store.account(ACCOUNT)
    assert before is not None
    amended = await keeping.amend(ACCOUNT, numbers=["+4930123", "030123"])
    assert await house.store.account(ACCOUNT) == amended == replace(before, numbers=("+4930123", "030123"))
    for number in ("", "12", "x", "+", "1" * 16, "+1 2 3", "\u0664" * 4):
        with pytest.raises(InvalidInput, match="3 to 15 digits"):
            await keeping.amend(ACCOUNT, numbers=[number])
    with pytest.raises(InvalidInput, match="at most 100"):
        await keeping.amend(ACCOUNT, numbers=["123"] * 101)
    assert await house.store.account(ACCOUNT) == amended
    assert (await keeping.amend(ACCOUNT, numbers=[])).numbers == ()


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
async def test_a_place_has_no_secret_in_it_and_is_absolute(
    house: Installation, keeping: AccountSettings, url: str
) -> None:
    before = await house.store.account(ACCOUNT)
    with pytest.raises(InvalidInput, match="without user, password"):
        await keeping.amend(ACCOUNT, media=url)
    assert await house.store.account(ACCOUNT) == before
