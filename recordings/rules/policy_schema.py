"""The schema of the `call_recording` objects, and the merge of a PATCH.

The schema is Kazoo's (`call_recording.json`, `call_recording.source.json`, `call_recording.parameters.json` and
`accounts.json`, master). As there, a text that looks like an integer or a boolean is converted before it is checked.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from recordings.model.errors import Problem, problem
from recordings.model.options import FORMATS, MAX_TIME_LIMIT, MAX_URL, MIN_TIME_LIMIT
from recordings.model.recording_policy import DocumentKind

DIRECTIONS: Final = ("any", "inbound", "outbound")
NETWORKS: Final = ("any", "onnet", "offnet")
_ACCOUNT: Final = ("account", "endpoint")
SETTINGS: Final[Mapping[str, type]] = {
    "enabled": bool,
    "format": str,
    "record_min_sec": int,
    "record_on_answer": bool,
    "record_on_bridge": bool,
    "record_sample_rate": int,
    "time_limit": int,
    "url": str,
}
"""The settings of a cell, and their types."""
TYPE_NAMES: Final = {bool: "boolean", int: "integer", str: "string"}
_INTEGER: Final = re.compile(r"-?[0-9]{1,15}")
_MAX_PROBLEMS: Final = 20


def check_call_recording(value: Any, kind: DocumentKind, path: Sequence[str]) -> tuple[Any, list[Problem]]:
    """Return a `call_recording` with converted values, and its problems."""
    problems: list[Problem] = []
    levels = (DIRECTIONS, NETWORKS)
    checked = _objects(value, (_ACCOUNT, *levels) if kind is DocumentKind.ACCOUNT else levels, tuple(path), problems)
    return checked, problems[:_MAX_PROBLEMS]


def _objects(
    value: Any, levels: Sequence[Sequence[str]], path: tuple[str, ...], problems: list[Problem]
) -> Mapping[str, Any]:
    """Check nested objects: each level has the names that it may have. The values of the last one are cells."""
    if not isinstance(value, Mapping):
        problems.append(problem(path, "type", value, "an object"))
        return {}
    names, *deeper = levels
    checked = {}
    for name, item in value.items():
        here = (*path, name)
        if name not in names:
            problems.append(problem(here, "additionalProperties", value, f"left out: only {', '.join(names)} exist"))
        else:
            checked[name] = _objects(item, deeper, here, problems) if deeper else _cell(item, here, problems)
    return checked


def _cell(value: Any, path: tuple[str, ...], problems: list[Problem]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        problems.append(problem(path, "type", value, "an object"))
        return {}
    checked = {}
    for name, given in value.items():
        here = (*path, name)
        if name not in SETTINGS:
            allowed = f"left out: only {', '.join(SETTINGS)} exist"
            problems.append(problem(here, "additionalProperties", value, allowed))
            continue
        checked[name] = setting = _converted(given, SETTINGS[name])
        if (found := _check(name, setting, here)) is not None:
            problems.append(found)
    return checked


def _converted(value: Any, wanted: type) -> Any:
    if not isinstance(value, str):
        return value
    if wanted is int and _INTEGER.fullmatch(value):
        return int(value)
    return {"true": True, "false": False}.get(value, value) if wanted is bool else value


def _check(name: str, given: object, path: tuple[str, ...]) -> Problem | None:
    if type(given) is not SETTINGS[name]:
        return problem(path, "type", given, f"a value of the type {TYPE_NAMES[SETTINGS[name]]}")
    value: Any = given
    if name == "format" and value not in FORMATS:
        return problem(path, "enum", value, f"one of {', '.join(FORMATS)}")
    if name == "time_limit" and value < MIN_TIME_LIMIT:
        return problem(path, "minimum", value, f"at least {MIN_TIME_LIMIT}")
    if name == "time_limit" and value > MAX_TIME_LIMIT:
        return problem(path, "maximum", value, f"at most {MAX_TIME_LIMIT}")
    if name == "url" and not _is_uri(value):
        return problem(path, "wrong_format", value, f"an absolute URL of at most {MAX_URL} characters")
    return None


def _is_uri(text: str) -> bool:
    # An empty text is what the apps send for "no URL".
    if text == "":
        return True
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc) and len(text) <= MAX_URL and text.isprintable() and " " not in text


def merge_patch(stored: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document after a PATCH: objects are merged key by key, the request wins, and `None` removes a key.

    A stored `None` is removed, too, as in Kazoo (`crossbar_doc.erl`, master).
    """
    merged: dict[str, Any] = {}
    for name in dict.fromkeys([*stored, *request]):
        value = request.get(name, stored.get(name))
        before = stored.get(name)
        if isinstance(value, Mapping):
            merged[name] = merge_patch(before if isinstance(before, Mapping) else {}, value)
        elif value is not None:
            merged[name] = value
    return merged
