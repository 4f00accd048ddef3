"""Changes of the label, the name and the user metadata: histories of changes, compared with a short model."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.model.errors import InvalidInput
from recordings.model.events import Annotated
from recordings.model.recording import Recording, State
from recordings.model.recording_changes import RecordingChanges, check_changes
from recordings.rules.lifecycle import apply

KEPT = Recording(
    id="202611-1", account_id="a", state=State.STORED, start=0, created=0, modified=0, call_id="c", from_="", to="",
    name="first.mp3",
)  # fmt: skip
METADATA = st.none() | st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3) | st.just({"deep": None}))
CHANGES = st.fixed_dictionaries(
    {},
    optional={"label": st.none() | st.just("sales"), "name": st.none() | st.just("x.mp3"), "user_metadata": METADATA},
)


def model(shown: dict[str, Any], changes: Any) -> dict[str, Any]:
    """Return the label, the name and the metadata after a change."""
    after = dict(shown)
    if "label" in changes:
        after["label"] = changes["label"]
    if "name" in changes:
        after["name"] = changes["name"] or "202611-1.mp3"
    if "user_metadata" in changes:
        given = changes["user_metadata"]
        merged = {} if given is None else {**shown["user_metadata"], **given}
        after["user_metadata"] = {key: value for key, value in merged.items() if value is not None}
    return after


@given(history=st.lists(CHANGES, max_size=5))
def test_a_history_of_changes_ends_like_the_model(history: list[RecordingChanges]) -> None:
    recording = KEPT
    shown: dict[str, Any] = {"label": None, "name": "first.mp3", "user_metadata": {}}
    for at, changes in enumerate(history):
        check_changes(changes)
        recording, shown = apply(recording, Annotated(at=at, changes=changes)), model(shown, changes)
        assert {name: getattr(recording, name) for name in shown} == shown


def test_the_error_has_all_invalid_values() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_changes({"label": "", "name": "a/b", "user_metadata": "text"})
    assert [problem.path for problem in refused.value.problems] == [("label",), ("name",), ("user_metadata",)]
