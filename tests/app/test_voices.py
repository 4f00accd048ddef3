"""The synthetic voices: G.711 in frames, one speaker at a time."""

from itertools import islice

import av
import pytest
from av.audio.codeccontext import AudioCodecContext

from graph.demo.voices import FRAME, SILENCE, _mulaw, voices


def test_frames_have_20_ms_and_one_voice_speaks_at_a_time() -> None:
    frames = list(islice(voices(), 1_000))
    assert {len(side) for sides in frames for side in sides} == {FRAME}
    assert all(SILENCE * FRAME in sides for sides in frames)
    assert {caller != SILENCE * FRAME for caller, _ in frames} == {True, False}


def test_each_tune_is_a_different_conversation() -> None:
    assert list(islice(voices(0), 300)) != list(islice(voices(1), 300))


@pytest.mark.parametrize("sample", [0, 1, -1, 100, -100, 5_000, -5_000, 32_767, -32_768])
def test_a_decoder_reads_the_mulaw_samples(sample: int) -> None:
    decoder = AudioCodecContext.create("pcm_mulaw", "r")
    decoder.sample_rate, decoder.layout = 8_000, "mono"
    (frame,) = decoder.decode(av.Packet(bytes([_mulaw(sample)])))
    decoded = int.from_bytes(bytes(frame.planes[0])[:2], "little", signed=True)
    assert decoded == pytest.approx(sample, abs=max(8, abs(sample) / 16))
