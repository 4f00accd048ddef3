"""The spool: written audio stays readable, also after the process was killed."""

import asyncio
import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from adapters.spool import FolderSpool, folder_spool
from recordings.ports.audio import Codec, SpooledAudio, Track

ID = "202611-0190f5fe3c5d7a1b8c2d3e4f5a6b7c8d"


@pytest.fixture
def spool(tmp_path: Path) -> FolderSpool:
    return FolderSpool(tmp_path)


async def test_another_process_finds_the_tracks_and_their_format(spool: FolderSpool, tmp_path: Path) -> None:
    writer = await spool.open_tracks(ID, Codec.MULAW, 8_000)
    writer.write_at(0, 0, b"left")
    writer.write_at(1, 0, b"right")
    left, right = writer.paths
    found = await FolderSpool(tmp_path).audio(ID)
    assert found == SpooledAudio((Track(str(left), Codec.MULAW, 8_000), Track(str(right), Codec.MULAW, 8_000)))
    assert left.read_bytes() == b"left"
    assert right.read_bytes() == b"right"
    await writer.close()


async def test_bytes_are_written_at_their_offset(spool: FolderSpool) -> None:
    writer = await spool.open_tracks(ID, Codec.S16, 16_000, ["mono"])
    writer.write_at(0, 4, b"5678")
    writer.write_at(0, 0, bytearray(b"1234"))
    writer.write_at(0, 2, memoryview(b"xx"))
    assert writer.length(0) == 8
    await writer.sync()
    await writer.close()
    assert writer.paths[0].read_bytes() == b"12xx5678"


async def test_partial_writes_of_the_kernel_are_completed(spool: FolderSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: whole(file, bytes(data)[:3], offset))
    writer = await spool.open_tracks(ID, Codec.MULAW, 8_000, ["mono"])
    for offset, data in ((0, b"1234567"), (7, bytearray(b"89")), (9, memoryview(b"abcdef")), (15, b"")):
        writer.write_at(0, offset, data)
    await writer.close()
    assert writer.paths[0].read_bytes() == b"123456789abcdef"


async def test_a_second_writer_keeps_the_earlier_bytes(spool: FolderSpool) -> None:
    first = await spool.open_tracks(ID, Codec.MULAW, 8_000)
    first.write_at(0, 0, b"before")
    await first.close()
    second = await spool.open_tracks(ID, Codec.MULAW, 8_000)
    assert second.length(0) == 6
    second.write_at(0, 6, b" after")
    await second.close()
    assert second.paths[0].read_bytes() == b"before after"


async def test_a_closed_writer_rejects_writes_and_can_be_closed_again(spool: FolderSpool) -> None:
    tracks = await spool.open_tracks(ID, Codec.MULAW, 8_000)
    await tracks.close()
    await tracks.close(sync=False)
    with pytest.raises(ValueError, match="closed"):
        tracks.write_at(0, 0, b"x")
    body = await spool.open_body(ID, "wav")
    await body.close()
    await body.close()
    with pytest.raises(ValueError, match="closed"):
        await body.write(b"x")


async def test_an_upload_has_its_length_and_hash(spool: FolderSpool) -> None:
    body = await spool.open_body(ID, "MP3")
    for chunk in (b"one", b"", b"two"):
        await body.write(chunk)
    assert (body.length, body.sha256) == (6, sha256(b"onetwo").hexdigest())
    await body.close()
    audio = await spool.audio(ID)
    assert audio is not None
    assert [Path(track.path).name for track in audio.tracks] == ["body.mp3"]
    assert audio.tracks[0].codec is Codec.CONTAINER
    assert body.path.read_bytes() == b"onetwo"


async def test_a_new_upload_replaces_a_broken_one_and_is_not_affected_by_it(spool: FolderSpool) -> None:
    broken = await spool.open_body(ID, "wav")
    await broken.write(b"half a bo")
    again = await spool.open_body(ID, "wav")
    await again.write(b"whole")
    await broken.write(b"dy")
    await broken.close()
    assert await spool.audio(ID) is None
    await again.close()
    assert again.path.read_bytes() == b"whole"
    assert names(again.path.parent) == ["body.wav", "take.json"]


async def test_an_incomplete_upload_is_never_used_as_a_complete_one(spool: FolderSpool) -> None:
    body = await spool.open_body(ID, "wav")
    await body.write(b"half a bo")
    assert await spool.audio(ID) is None
    await body.close(sync=False)
    assert await spool.audio(ID) is None
    assert list(await spool.ids()) == [ID]


@pytest.mark.parametrize("extension", ["", "../../x", "wav/..", "a b", "x" * 9])
async def test_an_unusual_extension_is_replaced(spool: FolderSpool, extension: str) -> None:
    body = await spool.open_body(ID, extension)
    await body.close()
    assert body.path.name == "body.bin"


async def test_a_cancelled_write_writes_its_whole_chunk_or_nothing(spool: FolderSpool) -> None:
    body = await spool.open_body(ID, "wav")
    chunk = os.urandom(1 << 20)
    writing = asyncio.create_task(body.write(chunk))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    await body.close()
    written = body.path.read_bytes()
    assert written in {b"", chunk}
    assert body.sha256 == sha256(written).hexdigest()


async def test_an_unknown_recording_has_no_audio(spool: FolderSpool) -> None:
    assert await spool.audio(ID) is None
    assert list(await spool.ids()) == []
    await spool.remove(ID)
    await spool.set_aside(ID)


async def test_ids_are_sorted_and_removed_recordings_are_not_listed(spool: FolderSpool) -> None:
    for name in ("b", "a"):
        await (await spool.open_body(name, "wav")).close()
    assert list(await spool.ids()) == ["a", "b"]
    await spool.remove("a")
    assert list(await spool.ids()) == ["b"]
    assert await spool.audio("a") is None


async def test_all_audio_set_aside_for_one_recording_is_kept(spool: FolderSpool, tmp_path: Path) -> None:
    for text in (b"first", b"second", b"third"):
        body = await spool.open_body(ID, "wav")
        await body.write(text)
        await body.close()
        await spool.set_aside(ID)
    kept = {path.parent.name: path.read_bytes() for path in (tmp_path / "aside").glob("*/body.wav")}
    assert kept == {ID: b"first", f"{ID}-1": b"second", f"{ID}-2": b"third"}
    assert list(await spool.ids()) == []
    assert list(await spool.ids_aside()) == [ID]
    await spool.forget(ID)
    assert list(await spool.ids_aside()) == []


async def test_ids_aside_with_ids_that_look_numbered(spool: FolderSpool) -> None:
    ids = ["202611-1", "202611-1-1", "202611-2"]
    for name in ids:
        await (await spool.open_body(name, "wav")).close()
        await spool.set_aside(name)
    # The name of the second id cannot be told from a numbered folder of the first.
    assert list(await spool.ids_aside()) == ["202611-1", "202611-2"]


async def test_forget_can_be_repeated_after_a_crash(
    spool: FolderSpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await (await spool.open_body(ID, "wav")).close()
        await spool.set_aside(ID)
    remove, removed = folder_spool._remove, list[Path]()

    def crash_at_the_second_folder(folder: Path) -> None:
        if removed:
            raise KeyboardInterrupt
        removed.append(folder)
        remove(folder)

    with monkeypatch.context() as patched:
        patched.setattr(folder_spool, "_remove", crash_at_the_second_folder)
        with pytest.raises(KeyboardInterrupt):
            spool._forget(ID)
    await spool.forget(ID)
    assert list((tmp_path / "aside").iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "/etc", "a\\b", "a\0b", "a\nb", "x" * 129])
async def test_an_id_is_never_a_path(spool: FolderSpool, tmp_path: Path, name: str) -> None:
    for attempt in (
        spool.audio(name),
        spool.remove(name),
        spool.set_aside(name),
        spool.open_body(name, "wav"),
        spool.open_tracks(name, Codec.MULAW, 8_000),
        spool.open_tracks(ID, Codec.MULAW, 8_000, [name]),
    ):
        with pytest.raises(ValueError, match="path"):
            await attempt
    assert names(tmp_path) == []


async def test_files_and_folders_are_private(spool: FolderSpool) -> None:
    before = os.umask(0)
    try:
        body = await spool.open_body(ID, "wav")
        tracks = await spool.open_tracks("other", Codec.MULAW, 8_000)
    finally:
        os.umask(before)
    partial = body.path.with_name("body.wav.part")
    for path in (partial, *tracks.paths):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert (path.parent / "take.json").stat().st_mode & 0o777 == 0o600
    await body.close()
    assert body.path.stat().st_mode & 0o777 == 0o600
    await tracks.close()


async def test_free_bytes_is_within_the_size_of_the_disk(spool: FolderSpool, tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    assert 0 <= await spool.free_bytes() <= disk.f_blocks * disk.f_frsize


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(audio: SpooledAudio) -> list[bytes]:
    return [Path(track.path).read_bytes() for track in audio.tracks]


def write_and_be_killed(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(root)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)


KILLED = """
import asyncio, sys
from pathlib import Path
from adapters.spool import FolderSpool, folder_spool
from recordings.ports.audio import Codec

async def main():
    spool = FolderSpool(Path(sys.argv[1]))
    tracks = await spool.open_tracks("take", Codec.MULAW, 8000)
    body = await spool.open_body("body", "wav")
    tracks.write_at(0, 0, b"L" * 1600)
    tracks.write_at(1, 0, b"R" * 160)
    await body.write(b"B" * 999)
    print("written", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing(spool: FolderSpool, tmp_path: Path) -> None:
    await asyncio.to_thread(write_and_be_killed, tmp_path)
    assert list(await spool.ids()) == ["body", "take"]
    take = await spool.audio("take")
    assert take is not None
    assert contents(take) == [b"L" * 1600, b"R" * 160]
    # The received bytes of the upload are kept, but they are not used as a complete upload.
    assert (tmp_path / "spool" / "body" / "body.wav.part").read_bytes() == b"B" * 999
    assert await spool.audio("body") is None


async def test_check_writes_to_the_spool_and_leaves_no_file(spool: FolderSpool, tmp_path: Path) -> None:
    await spool.check()
    assert list((tmp_path / "spool").iterdir()) == []
    (tmp_path / "spool").rmdir()
    (tmp_path / "spool").write_bytes(b"")
    with pytest.raises(OSError, match="spool"):
        await spool.check()
