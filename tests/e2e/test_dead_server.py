"""A server that is gone with a live call, and calls with streams at two servers."""

import json
import time

from tests.e2e.pair import CALLS, Pair, codes, live
from tests.e2e.server import SECONDS, command, until
from tests.e2e.stream_call import StreamCall

CALL = "one call"
PLACES = "query Q($id: ID!) { recording(id: $id) { node interactionId reason reasonDetail } }"


def node_of(pair: Pair, name: str) -> str:
    server = pair.one if name == "one" else pair.other
    return (server.data / "node").read_text().strip()


def cli(pair: Pair, *words: str) -> "tuple[int, list[dict[str, object]], str]":
    """Run a command on the other server's data, and return its exit code, its lines and its messages."""
    done = command(*words, data=pair.other.data, seconds=SECONDS, prepare=(), **pair.other.variables)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_call_moves_to_another_server_after_its_server_died(pair: Pair) -> None:
    one, other = node_of(pair, "one"), node_of(pair, "other")
    with StreamCall(pair.one.url, pair.ingest, CALL):
        until(lambda: live(pair.at_other) == [CALL])
        assert pair.at_other.graphql(CALLS)["viewer"]["account"]["calls"]["nodes"] == [{"callId": CALL, "node": one}]
        first = pair.at_other.start(CALL)["plainId"]
        # Time has to go by: a recording without any audio is discarded.
        time.sleep(1)
        pair.one.kill()
        # The call reconnects at once. The dead server still has its lease, but it does not confirm the call.
        with StreamCall(pair.other.url, pair.ingest, CALL) as again:
            second = pair.at_other.start(CALL)["plainId"]
            time.sleep(1)
            assert pair.at_other.graphql(CALLS)["viewer"]["account"]["calls"]["nodes"] == [
                {"callId": CALL, "node": other}
            ]
            lost, taken = (pair.at_other.graphql(PLACES, id=found)["recording"] for found in (first, second))
            assert (lost["node"], lost["reason"], taken["node"]) == (one, "RECORDER_GONE", other)
            assert one in lost["reasonDetail"]
            assert lost["interactionId"] == taken["interactionId"]
            assert again.is_open
        pair.at_other.wait_for(second, "STORED")
    pair.one.start()
    found = pair.at_other.wait_for(first, "STORED")
    assert (found["reason"], found["endCause"]) == (None, "SERVER_RESTART")


def test_a_call_that_loses_its_connection_is_recorded_where_it_comes_back(pair: Pair) -> None:
    with StreamCall(pair.one.url, pair.ingest, CALL) as stream:
        first = pair.at_other.start(CALL)["plainId"]
        # Time has to go by: a recording without any audio is discarded.
        time.sleep(1)
        stream.break_off()
    with StreamCall(pair.other.url, pair.ingest, CALL) as again:
        ended = pair.at_other.wait_for(first, "FINALIZING", "STORED")
        assert ended["endCause"] == "DISCONNECTED"
        second = pair.at_one.start(CALL)["plainId"]
        time.sleep(1)
        assert again.is_open
        assert live(pair.at_one) == [CALL]
    for identity in (first, second):
        pair.at_one.wait_for(identity, "STORED")
    found = [pair.at_one.graphql(PLACES, id=identity)["recording"]["interactionId"] for identity in (first, second)]
    assert found[0] == found[1]


def test_an_operator_lists_and_forgets_a_dead_server(pair: Pair) -> None:
    one, other = node_of(pair, "one"), node_of(pair, "other")
    with StreamCall(pair.one.url, pair.ingest, CALL):
        identity = pair.at_one.start(CALL)["plainId"]
        # Time has to go by: a recording without any audio is discarded.
        time.sleep(1)
        code, found, _ = cli(pair, "node", "list")
        rows = {row["name"]: row for row in found}
        assert (code, set(rows)) == (0, {one, other})
        assert [(rows[name]["running"], rows[name]["calls"]) for name in (one, other)] == [(True, 1), (True, 0)]
        assert (rows[one]["address"], abs(float(str(rows[one]["clock_difference_seconds"]))) < 5) == (
            pair.one.url,
            True,
        )
        assert rows[one]["version"]
        code, _, messages = cli(pair, "node", "forget", one)
        assert (code, "is running" in messages) == (1, True)
        assert cli(pair, "doctor")[1] == []
        pair.one.kill()
    until(lambda: not {row["name"]: row for row in cli(pair, "node", "list")[1]}[one]["running"])
    code, problems, _ = cli(pair, "doctor")
    assert (code, [(row["problem"], row["recording"]) for row in problems]) == (1, [("DEAD_SERVER", identity)])
    assert codes(pair.at_other.mutate("deleteRecording", id=identity)) == ["RECORDING_IN_PROGRESS"]
    code, lost, _ = cli(pair, "node", "forget", one)
    assert (code, lost) == (0, [{"recording": identity, "call": CALL, "state": "LOST"}])
    assert [row["name"] for row in cli(pair, "node", "list")[1]] == [other]
    assert cli(pair, "doctor")[1] == []
    code, _, messages = cli(pair, "node", "forget", one)
    assert (code, "there is no server" in messages) == (1, True)
    # The server returns, so nothing was lost.
    pair.one.start()
    assert pair.at_other.wait_for(identity, "STORED")["endCause"] == "SERVER_RESTART"


def test_a_second_stream_at_another_server_is_refused(pair: Pair) -> None:
    with StreamCall(pair.one.url, pair.ingest, CALL) as first:
        until(lambda: live(pair.at_other) == [CALL])
        with StreamCall(pair.other.url, pair.ingest, CALL) as second:
            assert second.wait_for_close() == 1008
        assert live(pair.at_one) == live(pair.at_other) == [CALL]
        assert first.is_open
    # The call may come back at the other server as soon as it has ended at the first one.
    with StreamCall(pair.other.url, pair.ingest, CALL) as third:
        until(lambda: live(pair.at_one) == [CALL])
        assert third.is_open


def test_one_of_two_simultaneous_streams_at_two_servers_is_refused(pair: Pair) -> None:
    for number in range(5):
        with (
            StreamCall(pair.one.url, pair.ingest, f"call {number}") as one,
            StreamCall(pair.other.url, pair.ingest, f"call {number}") as other,
        ):
            until(lambda: [stream for stream in (one, other) if stream.close_code])
            assert sorted(stream.close_code or 0 for stream in (one, other)) == [0, 1008]
            until(lambda: live(pair.at_one) == live(pair.at_other) == [f"call {number}"])  # noqa: B023 - used at once
        until(lambda: live(pair.at_one) == live(pair.at_other) == [])
