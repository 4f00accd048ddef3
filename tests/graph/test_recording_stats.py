"""`recordingStats`: its arguments, its rows and its errors. The store is real; tests of the figures are elsewhere."""

from dataclasses import replace
from typing import Any

import pytest

from recordings.model.instants import HOUR, MINUTE, from_iso
from recordings.model.recording import Direction, Reason, State
from recordings.use_cases.count_slots import SlotCounter
from tests.graph.api import MEDIA, Api
from tests.support.memory_installation import ACCOUNT, CHILD

START = from_iso("2026-10-24T20:00:00Z")
PERIOD = '{gte: "2026-10-24T20:00:00Z", lt: "2026-10-25T04:00:00Z"}'
FIGURES = "count measured audioMs bytes averageMs shortestMs longestMs p50: durationMs(percentile: 50) failureRate"


def stats(arguments: str = "", selected: str = "bucketStart count", period: str = PERIOD) -> str:
    return f"{{ recordingStats(period: {period} {arguments}) {{ rows {{ {selected} }} total {{ count }} asOf }} }}"


async def keep(api: Api, at: str, duration: int | None = 1_000, **fields: Any) -> None:
    start = from_iso(f"2026-10-{at}Z")
    media = None if duration is None else replace(MEDIA, length=100)
    await api.keep(start=start, created=start, duration_ms=duration, media=media, **fields)


async def rows(api: Api, arguments: str = "", selected: str = "bucketStart count", caller: str = "me") -> Any:
    data = await api.ask(stats(arguments, selected), caller)
    return data["recordingStats"]["rows"]


async def test_the_figures_of_a_period(api: Api) -> None:
    for duration in (1_000, 2_000, 9_000):
        await keep(api, "24T20:00:00", duration)
    await keep(api, "25T03:59:59", None, state=State.FAILED, reason=Reason.NOT_AUDIO)
    await keep(api, "25T04:00:00", 5_000)
    await keep(api, "24T19:59:59", 5_000)
    (row,) = await rows(api, selected=f"bucketStart bucketEnd other direction ownerId {FIGURES}")
    assert row == {
        "bucketStart": "2026-10-24T20:00:00.000+00:00",
        "bucketEnd": "2026-10-25T04:00:00.000+00:00",
        "other": False,
        "direction": None,
        "ownerId": None,
        "count": 4,
        "measured": 3,
        "audioMs": 12_000,
        "bytes": 300,
        "averageMs": 4_000,
        "shortestMs": 1_000,
        "longestMs": 9_000,
        "p50": pytest.approx(2_000, rel=0.01),
        "failureRate": 0.25,
    }


async def test_a_repeated_hour_gives_two_rows(api: Api) -> None:
    for minutes in range(0, 8 * 60, 30):
        at = START + minutes * MINUTE
        await api.keep(start=at, created=at)
    found = await rows(api, 'bucket: HOUR timeZone: "Europe/Berlin"')
    assert [row["bucketStart"][11:] for row in found] == [
        "22:00:00.000+02:00",
        "23:00:00.000+02:00",
        "00:00:00.000+02:00",
        "01:00:00.000+02:00",
        "02:00:00.000+02:00",
        "02:00:00.000+01:00",
        "03:00:00.000+01:00",
        "04:00:00.000+01:00",
    ]
    assert [row["count"] for row in found] == [2] * 8
    days = await rows(api, 'bucket: DAY timeZone: "Europe/Berlin"', "bucketStart bucketEnd count")
    assert days == [
        {"bucketStart": "2026-10-24T00:00:00.000+02:00", "bucketEnd": "2026-10-25T00:00:00.000+02:00", "count": 4},
        {"bucketStart": "2026-10-25T00:00:00.000+02:00", "bucketEnd": "2026-10-26T00:00:00.000+01:00", "count": 12},
    ]


async def test_groups_are_sorted_and_add_up(api: Api) -> None:
    for number, owner in enumerate(["ada"] * 3 + ["bob"] * 2 + ["eve"] + [None]):
        await keep(api, f"24T21:0{number}:00", owner_id=owner, direction=Direction.INBOUND)
    selected = "ownerId direction count other"
    inbound = {"direction": "INBOUND", "other": False}
    assert await rows(api, "groupBy: [OWNER, DIRECTION]", selected) == [
        {"ownerId": "ada", "count": 3, **inbound},
        {"ownerId": "bob", "count": 2, **inbound},
        {"ownerId": "eve", "count": 1, **inbound},
        {"ownerId": None, "count": 1, **inbound},
    ]
    ordered = await rows(api, "groupBy: OWNER orderBy: {field: COUNT}", "ownerId")
    assert [row["ownerId"] for row in ordered] == ["eve", None, "bob", "ada"]
    top = await rows(api, "groupBy: OWNER top: 1", "ownerId count other")
    assert top == [{"ownerId": "ada", "count": 3, "other": False}, {"ownerId": None, "count": 4, "other": True}]
    assert (await api.ask(stats("groupBy: OWNER top: 1")))["recordingStats"]["total"] == {"count": 7}


async def test_fill_returns_zeros(api: Api) -> None:
    await keep(api, "24T21:00:00", direction=Direction.INBOUND)
    await keep(api, "24T23:30:00", direction=Direction.OUTBOUND)
    selected = f"direction {FIGURES}"
    found = await rows(api, "bucket: HOUR groupBy: DIRECTION fill: true", selected)
    assert [row["count"] for row in found] == [0, 0, 1, 0, 0, 0, 0, 1] + [0] * 8
    assert found[0] == {
        "direction": "INBOUND", "count": 0, "measured": 0, "audioMs": 0, "bytes": 0, "averageMs": None,
        "shortestMs": None, "longestMs": None, "p50": None, "failureRate": None,
    }  # fmt: skip
    empty = await rows(api, 'bucket: HOUR fill: true filter: {label: {equal: "none"}}')
    assert [row["count"] for row in empty] == [0] * 8
    assert await rows(api, 'bucket: HOUR filter: {label: {equal: "none"}}') == []


async def test_a_filter_on_any_field(api: Api) -> None:
    for number in range(4):
        await keep(api, f"24T21:0{number}:00", call_id=f"call-{number}", owner_id=f"owner-{number % 2}", label="sales")
    for text, count in (
        ('{callId: {prefix: "call-"}}', 4),
        ('{callId: {equal: "call-1"}}', 1),
        ('{ownerId: {equal: "owner-1"}}', 2),
        ('{ownerId: {equal: "owner-1"}, label: {equal: "sales"}}', 2),
        ("{hasMedia: false}", 0),
        ("{durationMs: {gte: 1000}}", 4),
    ):
        assert (await api.ask(stats(f"filter: {text}")))["recordingStats"]["total"] == {"count": count}, text


async def test_an_owner_and_accounts_see_their_own_figures(api: Api) -> None:
    await keep(api, "24T21:00:00", owner_id="ada")
    await keep(api, "24T21:00:00", owner_id="bob")
    await keep(api, "24T21:00:00", account_id=CHILD, owner_id="ada")
    assert (await rows(api, caller="ada"))[0]["count"] == 1
    assert (await rows(api, "descendants: true", caller="ada"))[0]["count"] == 1
    assert await rows(api, "groupBy: OWNER", "ownerId count", caller="ada") == [{"ownerId": "ada", "count": 1}]
    assert (await rows(api))[0]["count"] == 2
    found = await rows(api, "descendants: true groupBy: ACCOUNT", "accountId count")
    assert found == [{"accountId": ACCOUNT, "count": 2}, {"accountId": CHILD, "count": 1}]
    nested = f'{{ account(id: "{CHILD}") {stats()} }}'
    assert (await api.ask(nested))["account"]["recordingStats"]["total"]["count"] == 1
    assert (await api.ask(nested, "sibling"))["account"] is None
    assert (await api.refused(stats(), "no_read"))["extensions"]["code"] == "FORBIDDEN"


async def test_the_trash_is_counted_apart(api: Api) -> None:
    await keep(api, "24T21:00:00")
    await api.trash(start=START, created=START, state=State.FAILED)
    assert (await rows(api))[0]["count"] == 1
    assert await rows(api, "trashed: true groupBy: STATE", "state count failureRate") == [
        {"state": "TRASHED", "count": 1, "failureRate": 1}
    ]


async def test_another_field_of_the_period(api: Api) -> None:
    await api.keep(start=START - HOUR, created=START - HOUR, ended=START + HOUR)
    assert await rows(api) == []
    ended = stats(period=PERIOD.replace("}", ", field: ENDED}"))
    assert (await api.ask(ended))["recordingStats"]["rows"] == [
        {"bucketStart": "2026-10-24T20:00:00.000+00:00", "count": 1}
    ]


YEAR = '{gte: "2026-01-01T00:00:00Z", lt: "2027-01-01T00:00:00Z"}'


@pytest.mark.parametrize(
    ("query", "path", "words"),
    [
        (stats('timeZone: "Mars/Base"'), ["timeZone"], "IANA"),
        (stats('timeZone: "../etc/passwd"'), ["timeZone"], "IANA"),
        (stats('timeZone: ""'), ["timeZone"], "IANA"),
        (stats("groupBy: [OWNER, LABEL, STATE, REASON]"), ["groupBy"], "at most 3"),
        (stats("groupBy: [OWNER, OWNER]"), ["groupBy"], "different"),
        (stats("top: 3"), ["top"], "groupBy"),
        (stats("groupBy: OWNER top: 0"), ["top"], "1 to 1000"),
        (stats(period='{gte: "2026-10-24T20:00:00Z", lt: "2026-10-24T20:00:00Z"}'), ["period", "lt"], "later"),
        (stats(period='{gte: "0001-01-01T00:00:00Z", lt: "2026-10-24T20:00:00Z"}'), ["period", "gte"], "1900"),
        (stats("bucket: QUARTER_HOUR", period=YEAR), ["bucket"], "HOUR or longer"),
        (stats('bucket: HOUR timeZone: "Asia/Kolkata"', period=YEAR.replace("2027", "2030")), ["bucket"], "DAY or"),
        (stats(selected="durationMs(percentile: 101)"), ["percentile"], "0 to 100"),
        (stats(selected="durationMs(percentile: -1)", arguments="bucket: HOUR fill: true"), ["percentile"], "0 to 100"),
        (stats('filter: {label: {prefix: "\\u0000"}}'), ["filter", "label"], "text"),
    ],
)
async def test_a_value_that_is_not_allowed(api: Api, query: str, path: list[str], words: str) -> None:
    error = await api.refused(query)
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["extensions"]["path"] == path
    assert words in error["message"]


async def test_a_percentile_that_is_not_allowed_has_one_error(api: Api) -> None:
    for hour in range(3):
        await keep(api, f"24T2{hour}:00:00")
    query = stats("bucket: HOUR", "p50: durationMs(percentile: 50) other: durationMs(percentile: $percentile)")
    error = await api.refused(f"query($percentile: Float!) {query}", percentile=100.5)
    assert error["path"] == ["recordingStats"]
    assert "100.5" in error["message"]


async def test_too_many_groups_name_the_bucket_that_fits(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recordings.rules.stats_table.MAX_ROWS", 8)
    for number in range(12):
        await keep(api, f"24T2{number % 3}:{number:02}:00", label=str(number % 4))
    error = await api.refused(stats("bucket: HOUR groupBy: LABEL"))
    assert error["extensions"]["path"] == ["bucket"]
    assert "DAY or longer" in error["message"]


async def test_a_question_that_would_read_too_much_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recordings.use_cases.recording_stats.MAX_EXAMINED", 3)
    for number in range(4):
        await keep(api, f"24T21:0{number}:00", label="a")
    error = await api.refused(stats('filter: {callId: {equal: "x"}}'))
    assert error["extensions"]["code"] == "QUERY_TOO_BROAD"
    assert "`callId`" in error["message"]


async def test_recordings_that_are_read_have_a_price(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.execution.examined_rows.FREE", 1)
    for number in range(30):
        await keep(api, f"24T21:00:{number:02}")
    before = (await api.send(stats()))["extensions"]["cost"]["requested"]
    await SlotCounter(api.installation.store, api.installation.clock).count_some()
    after = (await api.send(stats()))["extensions"]["cost"]["requested"]
    assert before - after == 3
