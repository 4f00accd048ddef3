"""The check of credentials: compared with a short model, and its cache."""

from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.model.account import AccessState, ApiKey, Principal, Scope
from recordings.model.errors import NotFound, Unauthenticated
from recordings.rules.media_grants import Grant
from recordings.use_cases import access_control
from recordings.use_cases.access_control import TTL, AccessControl
from tests.support.memory_installation import ACCOUNT, open_installation

NAMES = st.sampled_from(["ada", "bob", None])


class Limits:
    """Access limits in memory. It counts the look-ups."""

    def __init__(self, disabled: Collection[str] = (), ended: dict[str, int] | None = None) -> None:
        self.disabled, self.ended, self.lookups = set(disabled), ended or {}, 0

    async def access_state(self, account_id: str, people: Collection[str], key_id: str | None) -> AccessState:
        self.lookups += 1
        names = {account_id, *people}
        is_valid = not {*names, key_id} & self.disabled
        return AccessState(is_valid, max((self.ended.get(name, 0) for name in names), default=0))


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def control(limits: Limits, seconds: Seconds) -> AccessControl:
    return AccessControl(limits, seconds)  # type: ignore[arg-type]


@given(
    disabled=st.sets(st.sampled_from(["ada", "bob", "acme", "key"])),
    ended=st.dictionaries(st.sampled_from(["ada", "bob", "acme"]), st.integers(0, 3)),
    owner=NAMES,
    user=NAMES,
    key=st.sampled_from(["key", None]),
    issued=st.one_of(st.none(), st.integers(0, 3)),
)
async def test_credentials_are_valid_unless_one_of_their_parts_ended(
    disabled: set[str], ended: dict[str, int], owner: str | None, user: str | None, key: str | None, issued: int | None
) -> None:
    principal = Principal("acme", frozenset(), owner, user_id=user, key_id=key, issued=issued)
    parts = [part for part in ("acme", owner, user, key) if part is not None]
    is_valid = not any(part in disabled or (issued is not None and issued < ended.get(part, 0)) for part in parts)
    assert await control(Limits(disabled, ended), Seconds()).is_valid(principal) == is_valid


async def test_a_change_applies_after_the_period_of_the_cache() -> None:
    limits, seconds, principal = Limits(), Seconds(), Principal("acme", frozenset(), "ada")
    checks = control(limits, seconds)
    await checks.check(principal)
    limits.disabled.add("ada")
    await checks.check(principal)
    seconds.now += TTL
    with pytest.raises(Unauthenticated, match="not valid"):
        await checks.check(principal)
    assert limits.lookups == 2
    limits.disabled.clear()
    seconds.now += TTL
    await checks.check(principal)


async def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_control, "_MAX_CACHED", 2)
    limits = Limits()
    checks = control(limits, Seconds())
    for account in ("a", "b", "c", "c", "b", "a"):
        await checks.check(Principal(account, frozenset()))
    assert limits.lookups == 4


@pytest.mark.parametrize("ended", ["account", "owner", "key", "time", "nothing"])
async def test_a_signed_url_ends_with_the_credentials_of_its_caller(tmp_path: Path, ended: str) -> None:
    caller = Principal(ACCOUNT, frozenset({Scope.LISTEN}), "ada", key_id="key", issued=5)
    async with open_installation(tmp_path) as here:
        await here.store.add_key(ApiKey("key", ACCOUNT, (Scope.LISTEN,), "hash", 1))
        if ended == "time":
            await here.store.end_tokens(ACCOUNT, "ada", 6)
        elif ended == "key":
            await here.store.revoke_key("key", 1)
        elif ended != "nothing":
            await here.store.set_disabled(ACCOUNT, "ada" if ended == "owner" else "", 1)
        with pytest.raises(NotFound if ended == "nothing" else Unauthenticated):
            await here.service.plays.listen_with_grant(Grant("unknown", 10, caller), 0)


async def test_an_expired_url_and_a_forged_one_are_refused_attempts(tmp_path: Path) -> None:
    caller = Principal(ACCOUNT, frozenset({Scope.LISTEN}), "ada", issued=5)
    async with open_installation(tmp_path) as here:
        with pytest.raises(Unauthenticated, match="expired"):
            await here.service.plays.listen_with_grant(Grant("one", 10, caller), 10)
        here.service.plays.refuse_signature(Unauthenticated("the signature of this URL is not valid"))
        assert here.audit.refusals == [("play", "one"), ("play", None)]
