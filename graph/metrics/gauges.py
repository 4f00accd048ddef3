"""What is true now: read from the parts of the server when Prometheus asks, in the thread of the metrics server."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from graph.metrics.loop_lag import LoopLag
from recordings.model.call import EMBEDDED

if TYPE_CHECKING:
    from graph.metrics.backlog import BacklogWatch
    from graph.server.background_work import BackgroundWork
    from graph.services import Services

_SPOOL: Final = "spool"


class Gauges(Collector):
    """The gauges of one server. They only read, so that another thread may call them."""

    def __init__(
        self, services: "Services", background: "BackgroundWork", lag: LoopLag, backlog: "BacklogWatch"
    ) -> None:
        self._services = services
        self._background = background
        self._lag = lag
        self._backlog = backlog

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Return nothing: the names are found without a first collection."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield all gauges."""
        calls = Counter(call.recorder for call in self._services.recorder.live_calls())
        yield _family("live_calls", "Live calls, by recorder.", "recorder", {EMBEDDED: 0, **calls})
        yield _single("uploads_open", "Uploads that are received now.", len(self._services.embedded.uploads))
        readers = {"events": self._services.hub.readers, "calls": self._services.call_hub.readers}
        yield _family("live_readers", "Open subscriptions and waiting requests for events, by kind.", "kind", readers)
        steps, deliveries = self._background.running
        running = {"steps": steps, "deliveries": deliveries, "webhooks": self._services.webhook_work.running}
        yield _family("running", "Background steps, deliveries and webhooks that run now.", "kind", running)
        waiting = {state: each.count for state, each in self._backlog.waiting.items()}
        yield _family("due", "Recordings that wait for a background step, by state.", "state", waiting)
        late = {state: each.late_seconds for state, each in self._backlog.waiting.items()}
        yield _family("due_late_seconds", "How long the oldest of them has waited, by state.", "state", late)
        yield _single(
            "failed_claims", "How many claims of background steps failed in sequence.", self._background.failed_claims
        )
        size, age = _spool(self._services.settings.own_data / _SPOOL)
        yield _single("spool_bytes", "Size of the audio in the spool.", size)
        yield _single("spool_oldest_seconds", "Time since the oldest file of the spool was written.", age)
        yield _single(
            "loop_lag_seconds", "The longest delay of the event loop since the last collection.", self._lag.take()
        )
        switches = GaugeMetricFamily(
            "recordings_switch", "1 for the state of each switch, 0 for its other states.", labels=("switch", "state")
        )
        for name, state in self._services.switches.states().items():
            for each in ("ready", "connecting", "unreachable", "rejected", "standby"):
                switches.add_metric((name, each), float(each == state))
        yield switches


def _single(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"recordings_{name}", text, value)


def _family(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"recordings_{name}", text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _spool(folder: Path) -> tuple[int, float]:
    """Return the size of all files below a folder, and the age of the oldest one in seconds."""
    size, oldest = 0, time.time()
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.stat(os.path.join(path, name))  # noqa: PTH116, PTH118 - far faster for many files
            except OSError:
                # It was moved or deleted in this moment.
                continue
            size, oldest = size + found.st_size, min(oldest, found.st_mtime)
    return size, max(0.0, time.time() - oldest)
