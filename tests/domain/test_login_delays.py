"""Delays after failed logins: guesses are slowed down, and no client is locked out for long."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.rules.login_delays import ACCOUNT_FREE, ACCOUNT_MAX, CLIENT_FREE, CLIENT_MAX, FORGET, LoginDelays


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def guesses(delays: LoginDelays, watch: Watch, client: str, seconds: float, account: str = "acme") -> int:
    """Return how many different guesses an obedient client makes in a time."""
    made, end = 0, watch.now + seconds
    while watch.now < end:
        wait = delays.begin(account, client, f"{client} {watch.now} {made}")
        made += not wait
        watch.now += wait
    return made


def test_a_client_waits_longer_after_each_failure() -> None:
    watch = Watch()
    delays = LoginDelays(watch)
    for number in range(CLIENT_FREE):
        assert delays.begin("acme", "1.1.1.1", str(number)) == 0
    waits = []
    for number in range(8):
        wait = delays.begin("acme", "1.1.1.1", f"next {number}")
        waits.append(wait)
        watch.now += wait - 0.5
        assert delays.begin("acme", "1.1.1.1", "too early") == 1
        watch.now += 0.5
        assert delays.begin("acme", "1.1.1.1", f"next {number}") == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_simultaneous_guesses_are_counted_before_their_results() -> None:
    delays = LoginDelays(Watch())
    assert [delays.begin("acme", "1.1.1.1", str(each)) for each in range(40)].count(0) == CLIENT_FREE


def test_guesses_from_many_addresses_are_limited_by_the_account() -> None:
    watch = Watch()
    delays = LoginDelays(watch)
    start, accepted = watch.now, 0
    for number in range(3_600):
        accepted += delays.begin("acme", f"10.0.{number // 250}.{number % 250}", str(number)) == 0
        watch.now += 1
    assert watch.now - start == 3_600
    assert accepted <= ACCOUNT_FREE + 10 + 3_600 / ACCOUNT_MAX


def test_clients_that_logged_in_before_are_not_locked_out_by_others() -> None:
    watch = Watch()
    delays = LoginDelays(watch)
    assert delays.begin("acme", "1.1.1.1", "right") == 0
    delays.succeed("acme", "1.1.1.1", "right")
    for number in range(500):
        delays.begin("acme", f"10.0.0.{number % 250}", str(number))
    assert 0 < delays.begin("acme", "2.2.2.2", "right") <= ACCOUNT_MAX
    assert delays.begin("acme", "1.1.1.1", "right") == 0
    delays.succeed("acme", "1.1.1.1", "right")
    # Other accounts are not affected.
    assert delays.begin("other", "2.2.2.2", "right") == 0
    # A person at a new address has to wait, but not for long.
    watch.now += ACCOUNT_MAX
    assert delays.begin("acme", "2.2.2.2", "right") == 0
    delays.succeed("acme", "2.2.2.2", "right")
    assert delays.begin("acme", "2.2.2.2", "right") == 0


def test_a_client_that_logged_in_before_is_slowed_down_itself() -> None:
    watch = Watch()
    delays = LoginDelays(watch)
    delays.begin("acme", "1.1.1.1", "right")
    delays.succeed("acme", "1.1.1.1", "right")
    assert guesses(delays, watch, "1.1.1.1", 3_600) <= CLIENT_FREE + 10 + 3_600 / CLIENT_MAX


def test_success_resets_the_client_and_not_the_account() -> None:
    watch = Watch()
    delays = LoginDelays(watch)
    for number in range(CLIENT_FREE - 1):
        delays.begin("acme", "1.1.1.1", str(number))
    delays.begin("acme", "1.1.1.1", "right")
    delays.succeed("acme", "1.1.1.1", "right")
    assert delays.begin("acme", "1.1.1.1", "wrong") == 0
    # Logins with valid credentials, from other addresses, do not make room for guesses.
    tried = 0
    for number in range(200):
        if delays.begin("acme", f"10.0.0.{number}", f"guess {number}") == 0:
            tried += 1
        if delays.begin("acme", f"10.0.1.{number}", "own") == 0:
            delays.succeed("acme", f"10.0.1.{number}", "own")
    assert tried <= ACCOUNT_FREE


def test_one_valid_password_does_not_make_room_for_guesses_of_another() -> None:
    watch = Watch()
    delays, tried = LoginDelays(watch), 0
    for number in range(600):
        tried += delays.begin("acme", "1.1.1.1", f"guess {number}") == 0
        if delays.begin("acme", "1.1.1.1", "own") == 0:
            delays.succeed("acme", "1.1.1.1", "own")
        watch.now += 1
    assert tried <= 2 * CLIENT_FREE + 10 + 600 / CLIENT_MAX


def test_a_login_to_another_account_of_the_same_name_counts_neither_as_failure_nor_as_success() -> None:
    delays = LoginDelays(Watch())
    for number in range(100):
        assert delays.begin("acme", "1.1.1.1", "own") == 0
        delays.undo("acme", "1.1.1.1", "own")
        assert delays.begin("acme", f"2.2.2.{number}", "own") == 0
        delays.undo("acme", f"2.2.2.{number}", "own")
    assert [delays.begin("acme", "1.1.1.1", str(each)) for each in range(CLIENT_FREE + 1)].count(0) == CLIENT_FREE


def test_a_program_with_an_old_password_delays_only_itself() -> None:
    watch = Watch()
    delays = LoginDelays(watch)
    for _ in range(1_000):
        delays.begin("acme", "1.1.1.1", "old password")
        watch.now += 1
    assert delays.begin("acme", "1.1.1.1", "old password") > 0
    assert delays.begin("acme", "2.2.2.2", "right") == 0


def test_one_guess_from_many_addresses_counts_each_time() -> None:
    delays = LoginDelays(Watch())
    assert [delays.begin("acme", f"10.0.0.{each}", "123456") for each in range(99)].count(0) == ACCOUNT_FREE


def test_failures_are_forgotten() -> None:
    watch = Watch()
    delays = LoginDelays(watch)
    guesses(delays, watch, "1.1.1.1", 300)
    watch.now += FORGET + 1
    assert [delays.begin("acme", "1.1.1.1", str(each)) for each in range(CLIENT_FREE)] == [0] * CLIENT_FREE


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:1.2.3.4", "1.2.3.4", True),
        ("1.2.3.4", "1.2.3.5", False),
        ("x" * 64, "x" * 500, True),
    ],
)
def test_a_network_of_ipv6_counts_as_one_client(one: str, other: str, same: bool) -> None:
    delays = LoginDelays(Watch())
    for number in range(CLIENT_FREE):
        delays.begin("acme", one, str(number))
    assert (delays.begin("acme", other, "x") > 0) == same


def test_memory_is_bounded() -> None:
    delays = LoginDelays(Watch(), max_entries=100)
    for number in range(5_000):
        delays.begin(f"account {number % 700}", f"client {number}", str(number))
        delays.succeed(f"account {number % 900}", f"client {number}", str(number))
    assert sum(len(each) for each in vars(delays).values() if isinstance(each, dict)) <= 200
    assert sys.getsizeof(delays) < 1_000


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from("123"), st.booleans(), st.floats(0, 40)), max_size=120)
)
def test_no_wait_is_long_and_waiting_is_enough(steps: list[tuple[str, str, bool, float]]) -> None:
    watch = Watch()
    delays = LoginDelays(watch)
    for number, (account, client, is_right, pause) in enumerate(steps):
        watch.now += pause
        guess = "right" if is_right else str(number)
        wait = delays.begin(account, client, guess)
        assert 0 <= wait <= CLIENT_MAX
        if wait:
            watch.now += wait
            assert delays.begin(account, client, guess) == 0
        if is_right:
            delays.succeed(account, client, guess)
