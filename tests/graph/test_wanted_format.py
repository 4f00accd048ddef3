"""The format in which a recording is sent, from `Accept` and the `format` parameter."""

import pytest

from adapters.http.audio_types import FORMATS, format_of
from graph.media.wanted_format import wanted_format
from recordings.model.errors import InvalidInput

FIREFOX = "audio/webm,audio/ogg,audio/wav,audio/*;q=0.9,application/ogg;q=0.7,video/*;q=0.6,*/*;q=0.5"


@pytest.mark.parametrize(
    ("accept", "stored", "wanted"),
    [
        (None, "audio/mpeg", None),
        ("", "audio/mpeg", None),
        ("*/*", "audio/mpeg", None),
        (FIREFOX, "audio/mpeg", None),
        ("audio/*", "audio/x-wav", None),
        ("audio/mpeg", "audio/mpeg", None),
        ("audio/mp3", "audio/mpeg", None),
        ("audio/wav", "audio/x-wav", None),
        ("audio/flac;q=0.9, audio/mpeg;q=0.1", "audio/mpeg", None),
        ("text/html", "audio/mpeg", None),
        ("audio/aac, text/html", "audio/mpeg", None),
        ("audio/ogg", "audio/mpeg", "opus"),
        ("AUDIO/FLAC", "audio/mpeg", "flac"),
        ("audio/x-wav", "audio/mpeg", "wav"),
        ("audio/mpeg", "audio/x-wav", "mp3"),
        ("audio/ogg;q=0.2, audio/flac;q=0.8", "audio/mpeg", "flac"),
        ("audio/mpeg;q=0, audio/ogg;q=0.1", "audio/mpeg", "opus"),
        ("audio/ogg;q=never", "audio/mpeg", None),
        ("audio/ogg," * 1_000, "audio/mpeg", None),
    ],
)
def test_accept_selects_a_format_and_prefers_the_stored_one(
    accept: str | None, stored: str, wanted: str | None
) -> None:
    assert wanted_format(None, accept, stored) == wanted


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_parameter_overrides_accept(name: str) -> None:
    for stored in ("audio/mpeg", "audio/x-wav"):
        expected = None if format_of(stored) == name else name
        assert wanted_format(name, "audio/mpeg", stored) == expected


@pytest.mark.parametrize("name", ["", "MP3", "ogg", "../mp3"])
def test_an_unknown_format_is_rejected(name: str) -> None:
    with pytest.raises(InvalidInput, match="one of mp3, wav, opus, flac"):
        wanted_format(name, None, "audio/mpeg")
