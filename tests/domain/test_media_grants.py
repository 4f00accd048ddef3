"""Signed permissions to play one recording, which expire."""

from dataclasses import replace

import pytest

from recordings.model.account import Principal, Scope
from recordings.model.errors import Unauthenticated
from recordings.rules.media_grants import Grant, Grants, requester_of

GRANTS = Grants(b"k" * 32)
CALLER = Principal("a" * 32, frozenset({Scope.LISTEN}), "ada", "Ada \u263a", user_id="u", key_id="k", issued=5)
BY = requester_of(CALLER, 9)
ID = "202611-01a20277b70570ca83919974290716f4"


def test_a_signature_gives_the_grant() -> None:
    assert GRANTS.check(ID, 1_000, BY, GRANTS.sign(ID, 1_000, BY)) == Grant(ID, 1_000, CALLER)


@pytest.mark.parametrize(
    ("recording_id", "expires", "signature"),
    [
        (ID, 1_001, GRANTS.sign(ID, 1_000, BY)),
        (ID[:-1] + "5", 1_000, GRANTS.sign(ID, 1_000, BY)),
        # Expiry and id are joined for the signature. They must not be read as another expiry and another id.
        (f"0\n{ID}", 1, GRANTS.sign(ID, 10, BY)),
        (ID, 1_000, GRANTS.sign(ID, 1_000, requester_of(CALLER, 9) + "A")),
        (ID, 1_000, GRANTS.sign(ID, 1_000, BY)[:-1]),
        (ID, 1_000, "é"),
        (ID, 1_000, ""),
    ],
)
def test_a_wrong_signature_is_refused(recording_id: str, expires: int, signature: str) -> None:
    with pytest.raises(Unauthenticated, match="not valid"):
        GRANTS.check(recording_id, expires, BY, signature)


def test_another_installation_has_other_signatures() -> None:
    forged = Grants(b"o" * 32).sign(ID, 1_000, BY)
    with pytest.raises(Unauthenticated, match="not valid"):
        GRANTS.check(ID, 1_000, BY, forged)


def test_a_signature_is_long_enough() -> None:
    assert len(GRANTS.sign(ID, 1_000, BY)) == 32


def test_a_grant_is_as_old_as_the_token_of_its_caller() -> None:
    for caller, issued in ((CALLER, 5), (replace(CALLER, issued=None), 9)):
        requester = requester_of(caller, 9)
        found = GRANTS.check(ID, 1_000, requester, GRANTS.sign(ID, 1_000, requester)).principal
        assert (found.user_id, found.key_id, found.issued) == ("u", "k", issued)


def test_a_requester_with_a_line_feed_is_refused() -> None:
    signature = GRANTS.sign(f"x\n{ID}", 1_000, BY)
    with pytest.raises(Unauthenticated, match="not valid"):
        GRANTS.check(ID, 1_000, f"{BY}\nx", signature)
