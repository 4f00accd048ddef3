"""Flood the recorder of Asterisk with events: `python -m bench.ari_events [--seconds N] [--rate N]`.

A process sends events of an Asterisk over a WebSocket, at a fixed rate. Nothing reads the events of the recorder, as
with a stalled store. One event in five is needed, and two in fifty begin or end a call. The last line compares the
cost of an event with that of `json.loads`.
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import statistics
import time
from pathlib import Path
from typing import Any

from adapters.recorders import event_queue
from adapters.recorders.asterisk.ari_messages import read_event
from adapters.recorders.open_switch import open_switch
from adapters.recorders.switch_url import parse_switch_url
from adapters.spool import FolderSpool
from graph.server.system_clock import SystemClock
from tests.contract.recorders.ari_double import PASSWORD, USER, AriDouble, Chan

_STEP = 0.01
_ROUNDS = 9


def _events(number: int) -> list[str]:
    """Return the events of one call: 40 that nobody needs, and 10 others."""
    chan = Chan(f"call-{number}", f"PJSIP/100-{number:08x}", "Ring", number="100").json()
    up = chan | {"state": "Up"}
    kinds = [("ChannelCreated", chan), *[("ChannelVarset", chan)] * 40]
    kinds += [*[("ChannelCallerId", chan)] * 4, *[("ChannelStateChange", up)] * 4, ("ChannelDestroyed", up)]
    return [json.dumps({"type": kind, "timestamp": "", "variable": "x", "channel": body}) for kind, body in kinds]


class _Flood(AriDouble):
    """A double that sends events at a fixed rate to each WebSocket, and then one that ends the flood."""

    def __init__(self, rate: int, seconds: int) -> None:
        super().__init__()
        self._texts = [text for number in range(200) for text in _events(number)]
        self._rate, self._seconds = rate, seconds

    async def flood(self) -> None:
        while not any(self.apps.values()):  # noqa: ASYNC110 - the double has no event
            await asyncio.sleep(_STEP)
        await asyncio.sleep(1)
        (socket,) = [each for each in self.apps.values() if each is not None]
        began, sent = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < self._seconds:
            for number in range(sent, int(elapsed * self._rate)):
                await socket.send_str(self._texts[number % len(self._texts)])
            sent = int(elapsed * self._rate)
            await asyncio.sleep(_STEP)
        print(f"sent        {sent:,} events in {elapsed:.1f} s")
        self.ring("the last call")
        await asyncio.Event().wait()


def _serve(rate: int, seconds: int, ports: Any) -> None:
    async def run() -> None:
        double = _Flood(rate, seconds)
        await double.start()
        ports.put(double.port)
        await double.flood()

    asyncio.run(run())


async def _receive(port: int) -> None:
    secret = PASSWORD.replace("@", "%40").replace(":", "%3A")
    url = parse_switch_url(f"ari://{USER}:{secret}@127.0.0.1:{port}?name=pbx1&account={'a' * 32}")
    recorder: Any = open_switch(url, spool=FolderSpool(Path("/nonexistent")), clock=SystemClock())
    running = asyncio.create_task(recorder.run(()))
    before, used = _memory(), time.process_time()
    while await recorder.find_call("a" * 32, "the last call") is None:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(_STEP)
    used = time.process_time() - used
    print(f"received    all, with {used:.1f} s of processor time; the memory grew by {_memory() - before:.0f} MB")
    waiting = recorder._events._queue.qsize()
    print(f"waiting     {waiting:,} events for the store; the limit is {event_queue.MAX_WAITING:,}")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def _cost(read: Any, texts: list[str]) -> float:
    """Return the microseconds for one event."""
    began = time.perf_counter()
    for text in texts:
        read(text)
    return (time.perf_counter() - began) / len(texts) * 1e6


def main() -> None:
    """Print the result of a flood, and the ratio of two ways to read an event."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=10_000)
    given = parser.parse_args()
    ports: Any = multiprocessing.Queue()
    sender = multiprocessing.Process(target=_serve, args=(given.rate, given.seconds, ports), daemon=True)
    sender.start()
    asyncio.run(_receive(ports.get()))
    sender.terminate()
    texts = [text for number in range(100) for text in _events(number)]
    ratios = [_cost(json.loads, texts) / _cost(read_event, texts) for _ in range(_ROUNDS)]
    ratio, cost = statistics.median(ratios), _cost(read_event, texts)
    print(f"reading     {ratio:.1f} times as fast as json.loads, {cost:.1f} µs an event")


if __name__ == "__main__":
    main()
