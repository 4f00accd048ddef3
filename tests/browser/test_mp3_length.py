"""A browser finds every sample of an MP3 file that this service makes, and no more."""

import base64

import pytest

from tests.adapters.audio.test_mp3_tag import mp3, sound
from tests.browser.chromium import Chromium


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 2), (8_000, 1), (16_000, 2), (44_100, 2), (48_000, 1)])
def test_the_browser_decodes_the_same_number_of_samples(chromium: Chromium, rate: int, channels: int) -> None:
    page = chromium.page()
    for length in (577, rate, 3 * rate + 77):
        data = base64.b64encode(mp3(sound(length, channels), rate, channels)).decode()
        decoded = page.evaluate(
            f"fetch('data:audio/mpeg;base64,{data}').then(response => response.arrayBuffer())"
            f".then(data => new OfflineAudioContext({channels}, 1, {rate}).decodeAudioData(data))"
            ".then(buffer => [buffer.length, buffer.numberOfChannels])"
        )
        assert decoded == [length, channels]
