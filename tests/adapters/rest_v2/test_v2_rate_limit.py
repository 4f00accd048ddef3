"""The buckets of the v2 paths on their own: how they fill, and who shares one."""

import pytest

from adapters.rest_v2.request import v2_rate_limit as buckets
from adapters.rest_v2.request.v2_rate_limit import Buckets, Rate
from tests.adapters.identity.conftest import Seconds


def test_a_bucket_is_spent_at_once_and_fills_at_its_pace() -> None:
    seconds = Seconds()
    limited = Buckets(Rate(capacity=100, per_second=4.0), seconds)
    assert limited.level("a", "x") == 100
    assert limited.take("a", "x", 100)
    assert limited.level("a", "x") == 0
    seconds.now += 10.0
    assert limited.level("a", "x") == 40
    # Nothing is taken by what is refused.
    assert not limited.take("a", "x", 41)
    assert limited.take("a", "x", 40)
    assert limited.level("a", "x") == 0
    seconds.now += 1_000.0
    assert limited.level("a", "x") == 100
    assert not limited.take("a", "x", 101)
    # A clock that is put back takes nothing away.
    seconds.now -= 500.0
    assert limited.level("a", "x") == 100
    assert limited.take("a", "x", 100)


def test_clients_and_accounts_have_buckets_of_their_own() -> None:
    limited = Buckets(Rate(capacity=1, per_second=1.0), Seconds())
    for client, account in (("a", "x"), ("a", "y"), ("b", "x")):
        assert limited.take(client, account, 1)
        assert not limited.take(client, account, 1)


def test_the_bucket_that_was_used_least_recently_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "_KEPT", 2)
    limited = Buckets(Rate(capacity=10, per_second=1.0), Seconds())
    for client in ("a", "b", "a", "c"):
        assert limited.take(client, "x", 2)
    assert [limited.level(client, "x") for client in "abc"] == [6, 10, 8]
