"""Accounts and client addresses have a share of the slots for uploads and streams, and of the disk."""

from collections.abc import Sequence
from contextlib import ExitStack

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.embedded import spool_use
from adapters.recorders.embedded.slot_shares import NoSlot, SlotShares
from adapters.recorders.embedded.spool_use import SpoolUse


def shares(limit: int = 20, percent: int = 80) -> SlotShares:
    return SlotShares("uploads", limit, percent, "--max-uploads", lambda: 0.0)


def opened(stack: ExitStack, slots: SlotShares, account: str, client: str, count: int) -> int:
    """Use up to `count` slots, and return how many there were."""
    for number in range(count):
        try:
            stack.enter_context(slots.slot(account, client))
        except NoSlot:
            return number
    return count


def test_one_account_leaves_a_part_to_others() -> None:
    slots = shares()
    with ExitStack() as stack:
        # It has several addresses, and clients at several places.
        assert [opened(stack, slots, "a", f"10.0.0.{number}", 9) for number in range(3)] == [9, 7, 0]
        assert opened(stack, slots, "b", "10.0.1.1", 9) == 1
        assert opened(stack, slots, "c", "10.0.1.2", 9) == 1
    with ExitStack() as stack:
        assert opened(stack, slots, "a", "10.0.0.1", 99) == 16


def test_one_client_address_leaves_a_part_to_others() -> None:
    slots = shares()
    with ExitStack() as stack:
        assert sum(opened(stack, slots, account, "10.0.0.1", 8) for account in "abc") == 16
        assert opened(stack, slots, "d", "10.0.0.2", 1) == 1


def test_a_proxy_that_does_not_say_its_clients_is_no_client() -> None:
    slots = shares()
    with ExitStack() as stack:
        assert opened(stack, slots, "a", "", 99) == 16
        assert opened(stack, slots, "b", "", 1) == 1


def test_two_large_accounts_leave_a_part_to_others() -> None:
    slots = shares(100)
    with ExitStack() as stack:
        assert sum(opened(stack, slots, account, account, 60) for account in "ab") == 80
        assert [opened(stack, slots, account, account, 60) for account in "cdef"] == [5, 5, 5, 5]


def test_the_error_says_what_is_full_and_which_setting_to_change() -> None:
    with ExitStack() as stack:
        slots = shares(5, 40)
        opened(stack, slots, "a", "x", 2)
        with pytest.raises(NoSlot, match=r"the account has 2 open uploads.*--max-uploads, --account-share") as caught:
            stack.enter_context(slots.slot("a", "y"))
        assert caught.value.is_share
        slots = shares(1, 100)
        opened(stack, slots, "a", "x", 1)
        with pytest.raises(NoSlot, match="too many uploads at once: this server receives up to 1") as caught:
            stack.enter_context(slots.slot("b", "y"))
        assert not caught.value.is_share


def test_refusals_are_counted_in_one_log_line_a_minute() -> None:
    now = 0.0
    slots = SlotShares("uploads", 1, 100, "--max-uploads", lambda: now)
    with structlog.testing.capture_logs() as lines, ExitStack() as stack:
        opened(stack, slots, "a", "x", 1)
        for _ in range(50):
            assert opened(stack, slots, "b", "y", 1) == 0
        now = 61.0
        assert opened(stack, slots, "c", "y", 1) == 0
    assert [(line["event"], line["refused"]) for line in lines] == [("uploads refused", 1), ("uploads refused", 50)]
    assert lines[1]["by_account"] == {"b": 49, "c": 1}


@given(
    st.integers(1, 40),
    st.integers(1, 100),
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"), st.booleans()), max_size=80),
)
def test_no_share_and_no_limit_is_ever_exceeded(limit: int, percent: int, steps: list[tuple[str, str, bool]]) -> None:
    slots, most = shares(limit, percent), max(1, limit * percent // 100)
    used: list[tuple[str, str, ExitStack]] = []
    for account, client, closes in steps:
        if closes and used:
            used.pop(0)[2].close()
            continue
        stack = ExitStack()
        if opened(stack, slots, account, client, 1):
            used.append((account, client, stack))
    accounts, clients = [each[0] for each in used], [each[1] for each in used]
    assert len(used) <= limit
    assert all(accounts.count(each) <= most for each in accounts)
    assert all(clients.count(each) <= most for each in clients)
    assert slots.is_full == (len(used) == limit)


async def test_uploads_that_have_left_the_spool_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_use, "MIN_COUNTED", 4)
    spooled, looks = list[str](), 0

    async def ids() -> Sequence[str]:
        nonlocal looks
        looks += 1
        return spooled

    use = SpoolUse(80, ids)
    for number in range(100):
        spooled[:] = [str(number)]
        use.note(str(number), f"account-{number}", 10)
        assert not await use.is_over_share("a", 10, 1_000)
        assert len(use._files) <= 8
    assert looks < 30


async def test_an_account_has_a_share_of_the_disk_until_its_files_are_stored() -> None:
    spooled = ["1", "2", "3"]

    async def ids() -> Sequence[str]:
        return spooled

    use = SpoolUse(80, ids)
    use.note("1", "a", 60)
    use.note("2", "a", 10)
    use.note("3", "b", 10)
    assert not await use.is_over_share("a", 10, 20)
    assert await use.is_over_share("a", 11, 20)
    assert not await use.is_over_share("b", 20, 20)
    spooled.remove("1")
    assert not await use.is_over_share("a", 11, 20)
