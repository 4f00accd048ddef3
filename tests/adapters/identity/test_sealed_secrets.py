"""Secrets that are stored encrypted with the installation's key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.identity import SealedSecrets
from recordings.ports.sealer import CannotUnsealError
from recordings.rules.signing_keys import SigningKey, SigningKeys

OLD, NEW = SigningKey("old", b"o" * 32), SigningKey("new", b"n" * 32)


@given(st.text())
def test_a_secret_is_unsealed_in_its_own_context_only(text: str) -> None:
    sealer = SealedSecrets(SigningKeys([OLD]))
    sealed = sealer.seal(text, "one")
    assert sealer.unseal(sealed, "one") == text
    assert sealer.seal(text, "one") != sealed
    assert len(text) < 4 or text not in sealed
    with pytest.raises(CannotUnsealError, match="belongs to something else"):
        sealer.unseal(sealed, "other")


def test_a_secret_survives_a_rotation_until_its_key_is_dropped() -> None:
    keys = SigningKeys([OLD])
    sealer = SealedSecrets(keys)
    sealed = sealer.seal("secret", "one")
    assert sealer.is_current(sealed)
    keys.replace([NEW, OLD])
    assert sealer.unseal(sealed, "one") == "secret"
    assert not sealer.is_current(sealed)
    again = sealer.seal("secret", "one")
    keys.replace([NEW])
    assert sealer.unseal(again, "one") == "secret"
    with pytest.raises(CannotUnsealError, match="the key old, which the key file lacks"):
        sealer.unseal(sealed, "one")


def test_a_changed_secret_is_rejected() -> None:
    sealer = SealedSecrets(SigningKeys([OLD]))
    sealed = sealer.seal("my secret", "one")
    flipped = sealed[:8] + ("A" if sealed[8] != "A" else "B") + sealed[9:]
    for changed in (sealed[:-4], f"{sealed}AAAA", flipped, "old.", "", "old.\xe9"):
        with pytest.raises(CannotUnsealError) as refused:
            sealer.unseal(changed, "one")
        assert "my secret" not in str(refused.value)
