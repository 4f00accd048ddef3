"""What a client may write to a recording: its label, its name, its user metadata, and the reason of an action."""

from typing import Any, Final, TypedDict

from recordings.model.errors import InvalidInput
from recordings.model.options import check_option
from recordings.model.user_metadata import merge_metadata

_TEXTS: Final = {"label": "label", "name": "media_name"}
"""The option whose bounds apply to a field."""
MAX_REASON: Final = 256
"""Maximum length of the reason of a legal hold or a deletion, in characters."""


class RecordingChanges(TypedDict, total=False):
    """The changed fields. A field that is left out keeps its value, and `None` removes the value.

    A recording always has a name: without one, it has the name that a start gives it. `user_metadata` is merged key by
    key, and `None` as the value of a key removes that key.
    """

    label: str | None
    name: str | None
    user_metadata: Any


def check_changes(changes: RecordingChanges) -> None:
    """Check changes without their recording.

    Raises:
        InvalidInput: values are out of bounds. The error has all of them.
    """
    given = [(field, option, changes.get(field)) for field, option in _TEXTS.items()]
    found = [check_option(option, value, (field,)) for field, option, value in given if value is not None]
    problems = [problem for problem in found if problem is not None]
    try:
        merge_metadata({}, changes.get("user_metadata") or {})
    except InvalidInput as error:
        problems.extend(error.problems)
    if problems:
        raise InvalidInput(problems)


def check_reason(reason: str) -> None:
    """Raise `InvalidInput` unless the reason of a hold or a deletion has 1 to 256 characters, not only spaces."""
    if not reason.strip() or len(reason) > MAX_REASON:
        raise InvalidInput.of(("reason",), "maxLength", reason, f"a text of 1 to {MAX_REASON} characters")
