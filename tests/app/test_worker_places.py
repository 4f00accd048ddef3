"""The folders of workers, and what `/readyz` says about them."""

from dataclasses import replace
from pathlib import Path

import pytest

from graph.server.forked_workers import worker_count
from graph.server.worker_report import missing_workers
from graph.settings import InvalidSettingError, Settings, load
from graph.settings.worker import Worker
from recordings.model.instants import MINUTE
from recordings.ports.peers import Peer
from tests.support.memory_peers import MemoryPeers

URLS = {"a" * 32: "http://127.0.0.1:1", "b" * 32: "http://127.0.0.1:2"}


def settings(data: Path, **options: str) -> Settings:
    return load({}, {"data": str(data), **options})


def test_the_first_worker_uses_the_data_folder_and_the_others_have_their_own(tmp_path: Path) -> None:
    found = settings(tmp_path, workers="2")
    places = [replace(found, worker=Worker(number, URLS)).own_data for number in (1, 2)]
    assert [found.own_data, *places] == [tmp_path, tmp_path, tmp_path / "workers" / "2"]


@pytest.mark.parametrize("workers", ["1", "2", "4"])
def test_a_former_worker_with_audio_is_started_again(tmp_path: Path, workers: str) -> None:
    for number in ("2", "3", "5"):
        (tmp_path / "workers" / number / "spool").mkdir(parents=True)
    assert worker_count(settings(tmp_path, workers=workers)) == int(workers)
    (tmp_path / "workers" / "3" / "spool" / "take").mkdir()
    (tmp_path / "workers" / "3" / "spool" / "take" / "left.mulaw").touch()
    assert worker_count(settings(tmp_path, workers=workers)) == max(int(workers), 3)


def test_audiosocket_needs_a_single_process(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match=r"WORKERS .* must be 1 when --audiosocket is set, not '2'"):
        settings(tmp_path, workers="2", audiosocket="127.0.0.1:9092")


async def test_workers_that_do_not_run_are_reported() -> None:
    peers, worker = MemoryPeers(), Worker(1, URLS)
    await peers.register(Peer("a" * 32, ""), MINUTE)
    assert await missing_workers(worker, peers) == "not running: worker 2 of 2"
    await peers.register(Peer("b" * 32, ""), MINUTE)
    assert await missing_workers(worker, peers) is None
