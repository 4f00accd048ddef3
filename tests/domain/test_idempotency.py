"""Idempotency keys: their format, how many are kept, and the effect of a repeated key."""

from dataclasses import replace

import pytest

from recordings.model.account import Principal
from recordings.model.errors import IdempotencyKeyReused, InvalidInput
from recordings.model.recording import Applied, State
from recordings.rules.idempotency import KEPT, check_key, fingerprint, remember, start_key, was_applied
from tests.domain.test_lifecycle import make


def test_a_key_has_up_to_128_printable_characters() -> None:
    for key in (None, "k", "k" * 128):
        check_key(key)
    for key in ("", "k" * 129, "a\nb"):
        with pytest.raises(InvalidInput):
            check_key(key)


def test_each_owner_has_separate_keys() -> None:
    owners = (None, "ada", "ada:k", "ada%3Ak", "ada%")
    kept = {start_key(Principal("a" * 32, frozenset(), owner), key) for owner in owners for key in ("k", "k:k", ":k")}
    assert len(kept) == 3 * len(owners)
    assert start_key(Principal("a" * 32, frozenset(), "ada"), None) is None


def test_the_fingerprint_does_not_depend_on_the_order_of_fields() -> None:
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_an_unchanged_recording_gets_a_revision_for_its_key() -> None:
    before = make(State.RECORDING, revision=7)
    for changed in (before, replace(before, state=State.PAUSED, revision=8)):
        kept = remember(changed, before, "k", "pause")
        assert (kept.state, kept.revision, kept.applied) == (changed.state, 8, (Applied("k", "pause"),))
        assert remember(changed, before, None, "pause") is changed


def test_only_the_last_keys_are_kept() -> None:
    recording = make(State.STORED)
    for number in range(KEPT + 1):
        recording = remember(recording, recording, f"k{number}", "annotate")
    assert [applied.key for applied in recording.applied] == [f"k{number}" for number in range(1, KEPT + 1)]
    assert not was_applied(recording, "k0", "delete")
    assert was_applied(recording, "k1", "annotate")
    assert not was_applied(recording, None, "annotate")
    with pytest.raises(IdempotencyKeyReused):
        was_applied(recording, "k1", "delete")
