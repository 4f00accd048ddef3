"""The `filter` argument: the matches of each condition, combinations, and the paths of invalid values."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strawberry import UNSET

from graph.schema.enums import StoredFormat
from graph.schema.filter_input import RecordingFilter, required_owner, to_condition
from graph.schema.filter_types import (
    BigIntRange,
    CallDirectionFilter,
    DateTimeRange,
    DeliveryStateFilter,
    IntRange,
    RecordingFormatFilter,
    RecordingReasonFilter,
    RecordingStateFilter,
    StringFilter,
)
from graph.schema.scalars import DateTime, parse_date_time
from recordings.model.account import Account
from recordings.model.instants import EARLIEST, LATEST, to_iso
from recordings.model.query import (
    MAX_DESCENDANTS,
    MAX_LEVELS,
    And,
    Equal,
    HasMedia,
    In,
    Not,
    Or,
    Prefix,
    Range,
    matches,
)
from recordings.model.recording import Delivery, DeliveryState, Direction, EndCause, Hold, Reason, State
from tests.graph.api import Api
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING

LIST = "query($f: RecordingFilter) { recordings(first: 100, filter: $f) { totalCount nodes { label } } }"


async def labels(api: Api, filter: Any, caller: str = "me") -> set[str]:
    data = (await api.ask(LIST, caller, f=filter))["recordings"]
    assert data["totalCount"] == len(data["nodes"])
    return {node["label"] for node in data["nodes"]}


@pytest.mark.parametrize(
    ("given_filter", "expected_labels"),
    [
        (None, "abcd"),
        ({}, "abcd"),
        ({"start": {}, "label": {}, "state": {}, "durationMs": {}, "and": []}, "abcd"),
        ({"start": None, "label": None, "state": None, "not": None, "hasMedia": None}, "abcd"),
        ({"or": []}, ""),
        ({"not": {}}, ""),
        ({"not": {"not": {}}}, "abcd"),
        ({"label": {"equal": "a"}}, "a"),
        ({"label": {"in": ["a", "b"]}}, "ab"),
        ({"label": {"in": []}}, ""),
        ({"label": {"in": ["a", "b"], "equal": "b"}}, "b"),
        ({"callerIdNumber": {"prefix": "10"}}, "ab"),
        ({"callerIdNumber": {"known": False}}, "d"),
        ({"callerIdNumber": {"known": True, "prefix": "10"}}, "ab"),
        ({"callerIdNumber": {"equal": None, "prefix": None, "in": None, "known": None}}, "abcd"),
        ({"not": {"callerIdNumber": {"prefix": "10"}}}, "cd"),
        ({"from": {"equal": "x@a"}}, "a"),
        ({"to": {"prefix": "y@"}}, "b"),
        ({"callId": {"equal": "the-call"}}, "c"),
        ({"interactionId": {"in": ["i"]}}, "a"),
        ({"origin": {"prefix": "graphql:"}}, "b"),
        ({"format": {"equal": "WAV"}}, "d"),
        ({"format": {"in": ["MP3"]}}, "abc"),
        ({"format": {"equal": None, "in": None}}, "abcd"),
        ({"ownerId": {"equal": "ada"}}, "ab"),
        ({"ownerId": {"equal": "ada"}, "or": [{"label": {"equal": "a"}}, {"label": {"equal": "c"}}]}, "a"),
        ({"or": [{"ownerId": {"equal": "ada"}}, {"label": {"equal": "d"}}]}, "abd"),
        ({"state": {"in": ["FAILED", "LOST"]}}, "d"),
        ({"state": {"equal": "STORED"}}, "abc"),
        ({"state": {"known": False}}, ""),
        ({"direction": {"equal": "INBOUND"}}, "a"),
        ({"direction": {"in": ["INBOUND", "OUTBOUND"]}}, "a"),
        ({"direction": {"known": False}}, "bcd"),
        ({"direction": {"known": True}}, "a"),
        ({"direction": {"equal": None}}, "abcd"),
        ({"direction": None, "and": None, "or": None, "from": None, "start": None, "durationMs": None}, "abcd"),
        ({"reason": {"equal": "NOT_AUDIO"}}, "d"),
        ({"reason": {"in": ["EMPTY", "TOO_SHORT"]}}, ""),
        ({"reason": {"known": False}}, "abc"),
        ({"endCause": {"equal": "HANGUP"}}, "b"),
        ({"endCause": {"known": True, "equal": None}}, "b"),
        ({"deliveryState": {"equal": "FAILED"}}, "c"),
        ({"deliveryState": {"in": ["PENDING", "DELIVERED"]}}, ""),
        ({"deliveryState": {"known": False}}, "abd"),
        ({"mediaLength": {"gte": 3_000_000_000}}, "abc"),
        ({"mediaLength": {"gt": 3_000_000_000}}, ""),
        ({"mediaLength": {"known": False}}, "d"),
        ({"mediaLength": {"lt": None, "gte": None}}, "abcd"),
        ({"held": True}, "a"),
        ({"held": False}, "bcd"),
        ({"held": None, "reason": None, "endCause": None, "deliveryState": None, "mediaLength": None}, "abcd"),
        ({"hasMedia": True}, "abc"),
        ({"hasMedia": False}, "d"),
        ({"durationMs": {"gte": 10, "lt": 30}}, "ab"),
        ({"durationMs": {"gt": 10, "lte": 30}}, "bc"),
        ({"durationMs": {"gte": 5, "gt": 20, "lte": 99, "lt": 40}}, "c"),
        ({"durationMs": {"gte": None, "gt": None, "lte": None, "lt": None, "known": None}}, "abcd"),
        ({"durationMs": {"known": False}}, "d"),
        ({"ended": {"known": False}}, "abcd"),
        ({"start": {"gte": None, "known": True}}, "abcd"),
        ({"not": {"durationMs": {"gte": 0}}}, "d"),
        ({"start": {"gte": "1970-01-01T00:00:02Z"}}, "bcd"),
        ({"start": {"gt": "1970-01-01T00:00:02Z", "lt": "1970-01-01T01:00:04+01:00"}}, "c"),
        ({"created": {"lte": "1970-01-01T00:00:00.001Z"}}, "a"),
        ({"userMetadata": [{"key": "case"}]}, "abc"),
        ({"userMetadata": [{"key": "case", "equal": 7}]}, "a"),
        ({"userMetadata": [{"key": "case", "equal": 7.0, "known": True}]}, "a"),
        ({"userMetadata": [{"key": "case", "equal": "7"}]}, "b"),
        ({"userMetadata": [{"key": "case", "equal": True}]}, ""),
        ({"userMetadata": [{"key": "open", "equal": False}]}, "b"),
        ({"userMetadata": [{"key": "case", "known": False}]}, "d"),
        ({"userMetadata": [{"key": "case", "known": False, "equal": 7}]}, ""),
        ({"userMetadata": [{"key": "case", "equal": None, "known": None}]}, "abc"),
        ({"userMetadata": [{"key": "case"}, {"key": "open"}]}, "b"),
        ({"userMetadata": [{"key": "n"}]}, ""),
        ({"userMetadata": []}, "abcd"),
        ({"userMetadata": None}, "abcd"),
        ({"not": {"userMetadata": [{"key": "case", "equal": 7}]}}, "bcd"),
        ({"or": [{"userMetadata": [{"key": "open"}]}, {"label": {"equal": "d"}}]}, "bd"),
    ],
)
async def test_a_filter_returns_the_matching_recordings(api: Api, given_filter: Any, expected_labels: str) -> None:
    await api.keep(label="a", owner_id="ada", caller_id_number="100", from_="x@a", interaction_id="i",
                   direction=Direction.INBOUND, duration_ms=10, start=1_000, created=1,
                   hold=Hold("me", 1, "case"), user_metadata={"case": 7})  # fmt: skip
    await api.keep(label="b", owner_id="ada", caller_id_number="10", to="y@b", origin="graphql:me", duration_ms=20,
                   start=2_000, end_cause=EndCause.HANGUP, user_metadata={"case": "7", "open": False})  # fmt: skip
    await api.keep(label="c", owner_id="bob", caller_id_number="1", call_id="the-call", duration_ms=30, start=3_000,
                   delivery=Delivery("x", DeliveryState.FAILED, None), user_metadata={"case": {"n": 7}})  # fmt: skip
    await api.keep(label="d", state=State.FAILED, media=None, duration_ms=None, format="wav", start=4_000,
                   reason=Reason.NOT_AUDIO)  # fmt: skip
    assert await labels(api, given_filter) == set(expected_labels)


@pytest.mark.parametrize("kind", ["and", "or", "not"])
async def test_filters_inside_one_another_have_eight_levels(api: Api, kind: str) -> None:
    await api.keep(label="a")

    def nested(levels: int) -> dict[str, Any]:
        inner: Any = nested(levels - 1) if levels > 1 else {}
        return {"label": {"prefix": "a"}, "state": {"known": True}, kind: inner if kind == "not" else [inner]}

    assert await labels(api, nested(MAX_LEVELS - 1)) <= {"a"}
    assert "at most 8 levels deep" in (await api.refused(LIST, f=nested(MAX_LEVELS)))["message"]


@pytest.mark.parametrize("value", [2**53 - 1, 1 - 2**53])
async def test_a_size_can_be_any_exact_integer(api: Api, value: int) -> None:
    await api.keep(label="a")
    for operator, larger in (("gte", False), ("gt", False), ("lte", True), ("lt", True)):
        assert await labels(api, {"mediaLength": {operator: value}}) == ({"a"} if (value > 0) is larger else set())


async def test_the_count_of_an_owner_is_exact(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.metadata.sqlite.list_table.FEW", 2)
    for number in range(5):
        await api.keep(owner_id="ada", label=str(number))
    query = "query($f: RecordingFilter) { recordings(first: 0, filter: $f) { totalCount totalCountIsExact } }"
    exact = {"recordings": {"totalCount": 5, "totalCountIsExact": True}}
    for condition in ({}, {"ownerId": {"equal": "ada"}}, {"start": {"gte": "1970-01-01T00:00:00Z"}}):
        for caller in ("me", "ada"):
            assert await api.ask(query, caller, f={"ownerId": {"equal": "ada"}} | condition) == exact


@pytest.mark.parametrize("value", [2**53, -(2**53), 1.5, "3", True])
async def test_a_size_must_be_an_exact_integer(api: Api, value: Any) -> None:
    error = await api.refused(LIST, f={"mediaLength": {"gte": value}})
    assert "BigInt must be an integer between -2^53 and 2^53" in error["message"]


@pytest.mark.parametrize("condition", ['start: {gte: "2026-11-22"}', 'mediaLength: {gt: "3"}'])
async def test_the_error_of_a_value_in_a_document_has_its_place(api: Api, condition: str) -> None:
    error = await api.refused(f"{{ recordings(first: 1, filter: {{ {condition} }}) {{ nodes {{ id }} }} }}")
    assert error["locations"] == [{"line": 1, "column": 34 + condition.index('"')}]


async def test_a_list_has_the_recordings_of_the_accounts_below(api: Api) -> None:
    below = b"child of the child".hex()[:32].ljust(32, "0")
    await api.installation.store.add_account(Account(below, "below", 1, (ACCOUNT, CHILD)))
    for number, account_id in enumerate((ACCOUNT, CHILD, below, SIBLING)):
        await api.keep(label=f"{number}", account_id=account_id, owner_id="ada")
    ask = """query($d: Boolean) { recordings(first: 2, descendants: $d) { totalCount nodes { label account { name } }
        pageInfo { endCursor } } }"""
    assert (await api.ask(ask, d=None))["recordings"]["totalCount"] == 1
    page = (await api.ask(ask, d=True))["recordings"]
    assert (page["totalCount"], [node["label"] for node in page["nodes"]]) == (3, ["2", "1"])
    rest = """query($a: String) { viewer { account { recordings(first: 9, after: $a, descendants: true) {
        nodes { label } pageInfo { hasPreviousPage hasNextPage } } } } }"""
    page = (await api.ask(rest, a=page["pageInfo"]["endCursor"]))["viewer"]["account"]["recordings"]
    assert page["nodes"] == [{"label": "0"}]
    assert page["pageInfo"] == {"hasPreviousPage": True, "hasNextPage": False}
    assert (await api.ask(ask, "child", d=True))["recordings"]["totalCount"] == 2
    assert (await api.ask(ask, "ada", d=True))["recordings"]["totalCount"] == 1


async def test_a_list_over_too_many_accounts_is_refused(api: Api) -> None:
    for number in range(MAX_DESCENDANTS):
        await api.installation.store.add_account(Account(f"{number:032x}", "below", 1, (ACCOUNT,)))
    error = await api.refused("{ recordings(first: 1, descendants: true) { totalCount } }")
    assert (error["extensions"]["code"], error["extensions"]["path"]) == ("INVALID_INPUT", ["descendants"])
    assert "there are more than 100 accounts below" in error["message"]


async def test_the_empty_filter_has_no_hidden_time_range(api: Api) -> None:
    for start in (EARLIEST, 0, LATEST):
        await api.keep(start=start, label=str(start))
    assert await labels(api, {}) == {str(EARLIEST), "0", str(LATEST)}
    assert await labels(api, {"start": {"gte": to_iso(EARLIEST), "lte": to_iso(LATEST)}}) == await labels(api, {})


async def test_credentials_of_an_owner_find_only_the_recordings_of_this_owner(api: Api) -> None:
    await api.keep(label="a", owner_id="ada")
    await api.keep(label="b", owner_id="bob")
    await api.keep(label="c")
    assert await labels(api, {}, "ada") == {"a"}
    assert await labels(api, {"ownerId": {"equal": "bob"}}, "ada") == set()
    assert await labels(api, {"not": {"ownerId": {"equal": "ada"}}}, "ada") == set()
    assert await labels(api, {"or": [{"ownerId": {"known": False}}, {"hasMedia": True}]}, "ada") == {"a"}


async def test_no_filter_finds_recordings_of_another_account(api: Api) -> None:
    await api.keep(label="below", account_id=CHILD)
    assert await labels(api, {"or": [{}, {"not": {"or": []}}]}) == set()


@pytest.mark.parametrize(
    ("given_filter", "path"),
    [
        ({"label": {"equal": "x" * 513}}, ["filter", "label"]),
        ({"callerIdNumber": {"prefix": "\0"}}, ["filter", "callerIdNumber"]),
        ({"and": [{}, {"or": [{"callId": {"in": ["x"] * 101}}]}]}, ["filter", "and", "1", "or", "0", "callId"]),
        ({"not": {"not": {"origin": {"in": ["x", "y" * 600]}}}}, ["filter", "not", "not", "origin"]),
        ({"or": [{"label": {"equal": "x"}}] * 64}, ["filter"]),
        ({"userMetadata": [{"key": "a", "equal": [1]}]}, ["filter", "userMetadata", "equal"]),
        ({"userMetadata": [{"key": "a" * 513}]}, ["filter", "userMetadata", "key"]),
        ({"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {}}}}}}}}}}, ["filter"]),
    ],
)
async def test_the_error_of_an_invalid_value_has_its_path(api: Api, given_filter: Any, path: list[str]) -> None:
    error = await api.refused(LIST, f=given_filter)
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["extensions"]["path"] == path
    assert ".".join(path) in error["message"]


def test_a_filter_becomes_a_condition_of_the_domain() -> None:
    assert to_condition(None) == And(())
    assert to_condition(RecordingFilter()) == And(())
    assert to_condition(RecordingFilter(label=StringFilter(equal=None))) == And(())
    assert to_condition(RecordingFilter(label=StringFilter(known=False))) == Equal("label", None)
    assert to_condition(RecordingFilter(label=StringFilter(known=True))) == Not(Equal("label", None))
    assert to_condition(
        RecordingFilter(
            or_=[RecordingFilter(has_media=True), RecordingFilter(from_=StringFilter(prefix="1"))],
            not_=RecordingFilter(state=RecordingStateFilter(equal=State.LOST, in_=[State.FAILED])),
            start=DateTimeRange(gt=DateTime(1), lte=DateTime(2)),
            duration_ms=IntRange(gte=3),
        )
    ) == And((
        Or((HasMedia(), Prefix("from", "1"))),
        Not(And((Equal("state", "LOST"), In("state", ("FAILED",))))),
        Range("start", 2, 3),
        Range("duration_ms", 3, None),
    ))  # fmt: skip


def test_the_required_owner_is_found_only_if_every_match_has_it() -> None:
    one = Equal("owner_id", "ada")
    assert required_owner(one) == "ada"
    assert required_owner(And((HasMedia(), one))) == "ada"
    assert required_owner(Or((HasMedia(), one))) is None
    assert required_owner(Not(one)) is None
    assert required_owner(Equal("owner_id", None)) is None


@given(
    bounds=st.tuples(*[st.none() | st.integers(-3, 3)] * 4),
    value=st.integers(-4, 4),
)
def test_a_range_matches_like_the_comparison_operators(bounds: tuple[int | None, ...], value: int) -> None:
    gte, gt, lte, lt = bounds
    condition = to_condition(RecordingFilter(duration_ms=IntRange(gte=gte, gt=gt, lte=lte, lt=lt)))
    truth = (
        (gte is None or value >= gte) and (gt is None or value > gt)
        and (lte is None or value <= lte) and (lt is None or value < lt)
    )  # fmt: skip
    assert matches(condition, {"duration_ms": value}) is truth


TEXTS = st.sampled_from(["", "a", "ab", "b"])
NUMBERS = st.integers(-2, 2)
FLAGS = st.booleans()


def given_or_null(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.just(UNSET) | st.none() | values


def filters_of(kind: Any, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{name: given_or_null(value) for name, value in values.items()}, known=given_or_null(FLAGS))


def choices_of(kind: Any, values: Any) -> st.SearchStrategy[Any]:
    item = st.sampled_from(list(values))
    return filters_of(kind, equal=item, in_=st.lists(item, max_size=2))


BOUNDS = dict.fromkeys(("gte", "gt", "lte", "lt"), NUMBERS)
TEXT_FILTERS = filters_of(StringFilter, equal=TEXTS, in_=st.lists(TEXTS, max_size=2), prefix=TEXTS)
CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "label": TEXT_FILTERS,
    "from_": TEXT_FILTERS,
    "ended": filters_of(DateTimeRange, **BOUNDS),
    "duration_ms": filters_of(IntRange, **BOUNDS),
    "state": choices_of(RecordingStateFilter, State),
    "direction": choices_of(CallDirectionFilter, Direction),
    "format": choices_of(RecordingFormatFilter, StoredFormat),
    "reason": choices_of(RecordingReasonFilter, Reason),
    "delivery_state": choices_of(DeliveryStateFilter, DeliveryState),
    "media_length": filters_of(BigIntRange, **BOUNDS),
    "has_media": FLAGS,
    "held": FLAGS,
}


def filters(**further: st.SearchStrategy[Any]) -> st.SearchStrategy[RecordingFilter]:
    return st.builds(RecordingFilter, **{name: given_or_null(item) for name, item in {**CONDITIONS, **further}.items()})


NESTED = filters(not_=filters(), and_=st.lists(filters(), max_size=2), or_=st.lists(filters(), max_size=2))
ROWS: st.SearchStrategy[Any] = st.fixed_dictionaries({
    "label": st.none() | TEXTS, "from": TEXTS, "ended": st.none() | NUMBERS, "duration_ms": st.none() | NUMBERS,
    "state": st.sampled_from([state.value for state in State]), "format": st.sampled_from(["mp3", "wav"]),
    "direction": st.sampled_from([None, "inbound", "outbound"]),
    "media": st.none() | st.fixed_dictionaries({"length": NUMBERS}), "hold": st.sampled_from([None, {}]),
    "reason": st.none() | st.sampled_from([reason.value for reason in Reason]),
    "delivery": st.none() | st.fixed_dictionaries({"state": st.sampled_from(["PENDING", "FAILED"])}),
})  # fmt: skip
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "known": lambda value, wanted: (value is not None) is wanted,
    "equal": lambda value, wanted: value == getattr(wanted, "value", wanted),
    "in_": lambda value, wanted: value in [getattr(item, "value", item) for item in wanted],
    "prefix": lambda value, wanted: value is not None and value.startswith(wanted),
    "gte": lambda value, wanted: value is not None and value >= wanted,
    "gt": lambda value, wanted: value is not None and value > wanted,
    "lte": lambda value, wanted: value is not None and value <= wanted,
    "lt": lambda value, wanted: value is not None and value < wanted,
}
COMBINATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "and_": lambda row, items: all(holds(item, row) for item in items),
    "or_": lambda row, items: any(holds(item, row) for item in items),
    "not_": lambda row, item: not holds(item, row),
    "has_media": lambda row, wanted: (row["media"] is not None) is wanted,
    "held": lambda row, wanted: (row["hold"] is not None) is wanted,
}


def present(filter: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(filter).items() if value is not None}


def value_in(row: Any, name: str) -> Any:
    if name in {"delivery_state", "media_length"}:
        whole, part = name.split("_")
        return row[whole] and row[whole][part]
    return row[name.rstrip("_")]


def holds(filter: RecordingFilter, row: Any) -> bool:
    """Return what the filter means for a row: null is absent, and everything else must hold."""
    return all(
        COMBINATIONS[name](row, value) if name in COMBINATIONS else fits(value, value_in(row, name))
        for name, value in present(filter).items()
    )


def fits(conditions: Any, value: Any) -> bool:
    return all(OPERATORS[name](value, wanted) for name, wanted in present(conditions).items())


@given(filter=NESTED, rows=st.lists(ROWS, min_size=4, max_size=4))
def test_a_filter_matches_like_a_short_model_in_which_null_is_absent(filter: RecordingFilter, rows: list[Any]) -> None:
    condition = to_condition(filter)
    assert [matches(condition, row) for row in rows] == [holds(filter, row) for row in rows]


@given(at=st.integers(EARLIEST, LATEST))
def test_a_time_survives_formatting_and_parsing(at: int) -> None:
    assert parse_date_time(to_iso(at)) == at


@pytest.mark.parametrize(
    "text",
    ["2026-11-22", "2026-11-22T08:19:00", "2026-W47-7T08:19:00Z", "20261122T081900Z", "2026-13-01T00:00:00Z",
     "0001-01-01T00:00:00+23:00", "2026-11-22T08:19:00+25:00", "now", "", 5, None, True],
)  # fmt: skip
def test_the_error_of_an_invalid_time_has_an_example(text: Any) -> None:
    with pytest.raises(Exception, match="DateTime must be like"):
        parse_date_time(text)
