"""Signed permissions to play one recording, which expire."""

import pytest

from recordings.model.errors import Unauthenticated
from recordings.rules.media_grants import Grant, Grants

GRANTS = Grants(b"k" * 32)
ID = "202611-01a20277b70570ca83919974290716f4"


def test_a_grant_is_valid_until_it_expires() -> None:
    signature = GRANTS.sign(ID, 1_000)
    assert GRANTS.check(ID, 1_000, signature, 999) == Grant(ID, 1_000)
    with pytest.raises(Unauthenticated, match="expired"):
        GRANTS.check(ID, 1_000, signature, 1_000)


@pytest.mark.parametrize(
    ("recording_id", "expires", "signature"),
    [
        (ID, 1_001, GRANTS.sign(ID, 1_000)),
        (ID[:-1] + "5", 1_000, GRANTS.sign(ID, 1_000)),
        # Expiry and id are joined for the signature. They must not be read as another expiry and another id.
        (f"0\n{ID}", 1, GRANTS.sign(ID, 10)),
        (ID, 1_000, GRANTS.sign(ID, 1_000)[:-1]),
        (ID, 1_000, "é"),
        (ID, 1_000, ""),
    ],
)
def test_a_wrong_signature_is_refused(recording_id: str, expires: int, signature: str) -> None:
    with pytest.raises(Unauthenticated, match="not valid"):
        GRANTS.check(recording_id, expires, signature, 0)


def test_another_installation_has_other_signatures() -> None:
    forged = Grants(b"o" * 32).sign(ID, 1_000)
    with pytest.raises(Unauthenticated, match="not valid"):
        GRANTS.check(ID, 1_000, forged, 0)


def test_a_signature_is_long_enough() -> None:
    assert len(GRANTS.sign(ID, 1_000)) == 32
