"""Preconditions in the order of RFC 9110, section 13.2.2, compared with a simple model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.conditional_requests import Precondition, Validators, allows_range, check_preconditions, parse_date

NOW = 1_763_799_540_123
CURRENT = Validators("ab" * 32, NOW)
TAG = CURRENT.etag
SAME = "Sat, 22 Nov 2025 08:19:00 GMT"
BEFORE = "Sat, 22 Nov 2025 08:18:59 GMT"
AFTER = "Sat, 22 Nov 2025 08:19:01 GMT"
PASSED, NOT_MODIFIED, FAILED = Precondition.PASSED, Precondition.NOT_MODIFIED, Precondition.FAILED


def test_the_validators_are_header_values() -> None:
    assert f'"{"ab" * 32}"' == TAG
    assert CURRENT.last_modified == SAME


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, PASSED),
        ({"if-match": TAG}, PASSED),
        ({"if-match": "*"}, PASSED),
        ({"if-match": f'"x", {TAG}'}, PASSED),
        ({"if-match": '"x"'}, FAILED),
        ({"if-match": f"W/{TAG}"}, FAILED),
        ({"if-match": TAG.strip('"')}, FAILED),
        ({"if-unmodified-since": SAME}, PASSED),
        ({"if-unmodified-since": AFTER}, PASSED),
        ({"if-unmodified-since": BEFORE}, FAILED),
        ({"if-unmodified-since": "yesterday"}, PASSED),
        ({"if-match": TAG, "if-unmodified-since": BEFORE}, PASSED),
        ({"if-none-match": TAG}, NOT_MODIFIED),
        ({"if-none-match": f"W/{TAG}"}, NOT_MODIFIED),
        ({"if-none-match": "*"}, NOT_MODIFIED),
        ({"if-none-match": f' "x" ,, W/"y,z" , {TAG} ,'}, NOT_MODIFIED),
        ({"if-none-match": '"x"'}, PASSED),
        ({"if-none-match": f"{TAG} {TAG}"}, PASSED),
        ({"if-none-match": f'"x, {TAG}'}, PASSED),
        ({"if-none-match": ""}, PASSED),
        ({"if-modified-since": SAME}, NOT_MODIFIED),
        ({"if-modified-since": AFTER}, NOT_MODIFIED),
        ({"if-modified-since": BEFORE}, PASSED),
        ({"if-modified-since": "0"}, PASSED),
        ({"if-none-match": '"x"', "if-modified-since": SAME}, PASSED),
        ({"if-match": '"x"', "if-none-match": TAG}, FAILED),
        ({"if-match": TAG, "if-none-match": TAG}, NOT_MODIFIED),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_preconditions_of_get_and_head(method: str, headers: dict[str, str], expected: Precondition) -> None:
    assert check_preconditions(method, headers, CURRENT) is expected


def test_other_methods_fail_instead_of_being_not_modified() -> None:
    assert check_preconditions("POST", {"if-none-match": "*"}, CURRENT) is FAILED
    assert check_preconditions("POST", {"if-modified-since": SAME}, CURRENT) is PASSED


tags = st.builds(
    lambda weak, name: f'{weak}"{name}"', st.sampled_from(["", "W/"]), st.sampled_from(["ab" * 32, "x", "a,b", ""])
)


@given(st.lists(tags, min_size=1), st.sampled_from([",", ", ", " ,\t", ",,"]))
def test_a_list_of_tags(given_tags: list[str], separator: str) -> None:
    field = separator.join(given_tags)
    assert (check_preconditions("GET", {"if-match": field}, CURRENT) is PASSED) == (TAG in given_tags)
    weakly = {tag.removeprefix("W/") for tag in given_tags}
    assert (check_preconditions("GET", {"if-none-match": field}, CURRENT) is NOT_MODIFIED) == (TAG in weakly)


@given(st.text())
def test_any_field_value_has_a_result(text: str) -> None:
    for name in ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since"):
        assert check_preconditions("GET", {name: text}, CURRENT) in Precondition
    assert allows_range(text, CURRENT) in {True, False}


@pytest.mark.parametrize(
    ("if_range", "allowed"),
    [(None, True), (TAG, True), (f"W/{TAG}", False), ('"x"', False), (SAME, True), (BEFORE, False), (AFTER, False),
     ("", False), ("*", False), (f"{TAG}, {TAG}", False)],
)  # fmt: skip
def test_if_range(if_range: str | None, allowed: bool) -> None:
    assert allows_range(if_range, CURRENT) is allowed


@pytest.mark.parametrize("text", [SAME, "Saturday, 22-Nov-25 08:19:00 GMT", "Sat Nov 22 08:19:00 2025"])
def test_all_three_date_formats_are_parsed(text: str) -> None:
    moment = parse_date(text)
    assert moment is not None
    assert moment.timestamp() == NOW // 1_000
