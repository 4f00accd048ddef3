"""The decisions about workers, against random ends, signals and clocks."""

import signal

from hypothesis import given
from hypothesis import strategies as st

from graph.server.supervision import MAX_DELAY, Action, Exit, Signal, Start, Supervision, delay

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ready", "end", "killed", "error", "wait", "wait long", "SIGTERM", "SIGINT"]),
        st.integers(0, 3),
    ),
    max_size=40,
)


class Model:
    """The processes that a supervision has started, and what it said at the end."""

    def __init__(self, count: int) -> None:
        self.plan = Supervision(count, drain_seconds=20, stop_seconds=10)
        self.now = 100.0
        self.running: set[int] = set()
        self.signals: list[tuple[int, int]] = []
        self.code: int | None = None

    def do(self, actions: "list[Action] | tuple[Action, ...]") -> None:
        for action in actions:
            match action:
                case Start(number):
                    assert not self.plan.is_stopping
                    assert number not in self.running
                    self.running.add(number)
                case Signal(number, sent):
                    assert number in self.running
                    self.signals.append((number, sent))
                case Exit(code):
                    assert not self.running
                    self.code = code

    def turn(self) -> None:
        self.do(tuple(self.plan.due_actions(self.now)))

    def end(self, number: int, code: int = 0) -> None:
        self.running.discard(number)
        self.do(tuple(self.plan.note_end(number, code, self.now)))
        self.turn()


@given(count=st.integers(1, 4), events=EVENTS)
def test_workers_run_until_a_signal_and_all_end_after_it(count: int, events: list[tuple[str, int]]) -> None:
    model = Model(count)
    model.turn()
    assert model.running == {1}
    ready: set[int] = set()
    for event, choice in events:
        number = sorted(model.running)[choice % len(model.running)] if model.running else 0
        match event:
            case "ready" if number:
                model.plan.note_ready(number)
                ready.add(number)
            case "end" | "killed" | "error" if number:
                was_stopping = model.plan.is_stopping
                model.end(number, {"end": 0, "killed": -9, "error": 1}[event])
                assert model.plan.is_stopping == (was_stopping or (event == "error" and number not in ready))
            case "SIGTERM" | "SIGINT" if model.code is None:
                model.do(tuple(model.plan.note_signal(signal.Signals[event], model.now)))
            case "wait" | "wait long":
                model.now += 0.1 if event == "wait" else 70.0
        model.turn()
    if not model.plan.is_stopping:
        # Each worker that died is replaced, within the longest delay.
        model.now += MAX_DELAY
        model.turn()
        assert model.running == (set(range(1, count + 1)) if 1 in ready else {1})
        model.do(tuple(model.plan.note_signal(signal.SIGTERM, model.now)))
        assert {number for number, sent in model.signals if sent == signal.SIGTERM} >= model.running
    model.now += 30.0
    model.turn()
    assert {number for number, sent in model.signals if sent == signal.SIGKILL} >= model.running
    for number in list(model.running):
        model.end(number, -9)
    model.turn()
    assert model.code is not None


def test_a_drain_is_not_cut_short_and_a_second_signal_ends_it() -> None:
    model = Model(1)
    model.turn()
    model.plan.note_ready(1)
    model.do(tuple(model.plan.note_signal(signal.SIGTERM, 100)))
    assert model.plan.next_time() == 130
    model.do(tuple(model.plan.note_signal(signal.SIGTERM, 101)))
    assert model.plan.next_time() == 111
    model.end(1)
    assert model.code == 0


def test_a_worker_that_cannot_start_ends_the_server_with_its_code() -> None:
    model = Model(2)
    model.turn()
    model.end(1, 1)
    assert (model.code, model.signals) == (1, [])


def test_a_worker_that_is_killed_while_it_starts_is_replaced() -> None:
    model = Model(2)
    model.turn()
    model.end(1, -9)
    assert (model.running, model.code) == ({1}, None)


def test_delays_grow_to_a_maximum() -> None:
    assert [delay(failures) for failures in (0, 1, 2, 3, 4, 100)] == [0, 0, 0.5, 1, 2, MAX_DELAY]
