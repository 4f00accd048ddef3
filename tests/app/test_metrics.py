"""The metrics of a real server: their names, their values, and the alerts and dashboards that use them."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from graph.demo.demo_account import DEMO_ACCOUNT
from tests.e2e.server import Server, until
from tests.servers.free_ports import free_port

REPOSITORY = Path(__file__).parents[2]
NAME = re.compile(r"\brecordings_[a-z_]+")
PARTS = ("_bucket", "_count", "_sum")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("metrics") / "data"
    switch = f"ng://127.0.0.1:9?name=media1&account={DEMO_ACCOUNT}&folder=/tmp"
    options = ("--demo", "--metrics", f"127.0.0.1:{port}", "--metrics-accounts", "on", "--switch", switch)
    with Server(data, *options) as server:
        yield server


def values(port: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(port: int, name: str, **labels: str) -> float | None:
    """Return the sum of the samples that have these labels; `None` if there is no sample."""
    found = [each for (key, has), each in values(port).items() if key == name and labels.items() <= dict(has).items()]
    return sum(found) if found else None


def test_requests_are_counted_by_route_and_status(server: Server, port: int) -> None:
    client = server.client(server.shown_token())
    before = value(port, "recordings_requests_total", route="/graphql", status="200") or 0
    client.graphql("{ recordings(first: 3) { nodes { plainId } } }")
    httpx.get(f"{server.url}/media/nothing")
    httpx.get(f"{server.url}/wp-login.php")
    # A request is counted after its response.
    until(lambda: value(port, "recordings_requests_total", route="other", status="404") == 1)
    assert value(port, "recordings_requests_total", route="/media") == 1
    assert value(port, "recordings_requests_total", route="/graphql", status="200") == before + 1
    assert value(port, "recordings_graphql_cost_count") == 1
    assert value(port, "recordings_request_seconds_count", route="/graphql") == before + 1
    # The time of an event stream depends on its client.
    body, accept = {"query": "subscription { recordingChanged { kind } }"}, {"accept": "text/event-stream"}
    with client.http.stream("POST", "/graphql", json=body, headers=accept) as stream:
        next(stream.iter_bytes())
    until(lambda: value(port, "recordings_requests_total", route="/graphql", status="200") == before + 2)
    assert value(port, "recordings_request_seconds_count", route="/graphql") == before + 1


def test_a_call_is_counted_from_its_stream_to_its_result(server: Server, port: int) -> None:
    client = server.client(server.shown_token())
    with server.call(20) as call:
        until(lambda: value(port, "recordings_live_calls", recorder="embedded") == 1)
        recording = client.start(call.id)
        # A fixed time, because a recording without audio is discarded.
        time.sleep(1)
        client.do("stopRecording", id=recording["plainId"])
        client.wait_for(recording["plainId"], "STORED")
    until(lambda: value(port, "recordings_ended_total", state="STORED", end_cause="STOPPED") == 1)
    assert value(port, "recordings_finalizing_seconds_count") == value(port, "recordings_ended_total")
    accounts = {dict(labels)["account"] for name, labels in values(port) if name == "recordings_ended_total"}
    assert len(accounts) == 1
    assert "" not in accounts


def test_a_switch_has_one_state(server: Server, port: int) -> None:
    until(lambda: value(port, "recordings_switch", switch="media1", state="unreachable") == 1)
    assert value(port, "recordings_switch", switch="media1") == 1


def test_the_page_of_metrics_lists_all_of_them(server: Server, port: int) -> None:
    assert server.is_answering()
    served = {_family(name) for name, _ in values(port) if name.startswith("recordings_")}
    rows = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8").split("\n")
    listed = {row.split("`")[1] for row in rows if row.startswith("| `recordings_")}
    # These have labels, and nothing to count yet.
    silent = {
        f"recordings_{name}"
        for name in (
            "deliveries_total",
            "step_faults_total",
            "store_errors_total",
            "due",
            "due_late_seconds",
            "webhook_attempts_total",
            "webhooks_disabled_total",
        )
    }
    assert listed - silent <= served <= listed


def test_alerts_and_dashboards_use_metrics_that_exist() -> None:
    listed = set(NAME.findall((REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")))
    alerts = yaml.safe_load((REPOSITORY / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    dashboard = json.loads((REPOSITORY / "deploy/grafana/operations.json").read_text(encoding="utf-8"))
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions = [rule["expr"] for rule in rules] + targets
    used = {_family(name) for each in expressions for name in NAME.findall(each)}
    assert used
    assert used <= listed
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules)


def test_a_port_in_use_is_an_error_that_names_the_option(tmp_path: Path, server: Server, port: int) -> None:
    assert server.is_answering()
    second = Server(tmp_path / "data", "--metrics", f"127.0.0.1:{port}")
    second.launch()
    assert second.process is not None
    assert second.process.wait(40) != 0
    assert f"cannot listen on 127.0.0.1:{port}" in second.log.read_text()
    assert "--metrics" in second.log.read_text()


def _family(name: str) -> str:
    for part in PARTS:
        name = name.removesuffix(part)
    return name
