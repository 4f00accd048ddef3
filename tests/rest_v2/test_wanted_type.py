"""The choice between JSON and audio, without a server (`docs/v2_contract.md`, section 2.1)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.rest_v2.request.v2_errors import V2Error
from adapters.rest_v2.request.wanted_type import CONVERTED_TYPES, PLAYED, TABLE, Choice, Kind, choose, pick

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
MP3, WAV = "audio/mpeg", "audio/x-wav"


def chosen(header: str | None, parameter: str | None, stored: str = MP3) -> Kind:
    return pick(choose(header, parameter, PLAYED, csv=True), stored).kind


@pytest.mark.parametrize(
    ("header", "parameter", "expected"),
    [
        (None, None, Kind.JSON),
        ("", None, Kind.JSON),
        ("*/*", None, Kind.JSON),
        ("application/json", None, Kind.JSON),
        ("application/x-json", None, Kind.JSON),
        ("audio/mpeg", None, Kind.AUDIO),
        ("audio/mp3", None, Kind.AUDIO),
        ("Audio/MPEG", None, Kind.AUDIO),
        (None, "audio/mpeg", Kind.AUDIO),
        ("application/json", "audio/mpeg", Kind.AUDIO),
        ("audio/mpeg", "application/json", Kind.JSON),
        ("audio/mpeg", "mp3", Kind.AUDIO),
        (None, "mp3", Kind.JSON),
        (None, "csv", Kind.CSV),
        (None, "audio/mpeg;q=0.5, application/json", Kind.JSON),
        ("application/json;q=0.5, audio/mpeg", None, Kind.AUDIO),
        ("application/json, audio/mpeg", None, Kind.AUDIO),
        ("audio/mpeg, application/json", None, Kind.JSON),
        ("audio/mpeg;q=0, */*;q=0.1", None, Kind.JSON),
        ("audio/*", None, Kind.AUDIO),
        (BROWSER, None, Kind.JSON),
        ("audio/webm,audio/ogg,audio/wav,audio/*;q=0.9,*/*;q=0.5", None, Kind.AUDIO),
        (None, "audio/x-wav", Kind.AUDIO),
        ("application/json", "audio/flac", Kind.AUDIO),
        (None, "text/html", Kind.JSON),
        ("bad", "audio/mpeg", Kind.AUDIO),
    ],
)
def test_json_or_audio(header: str | None, parameter: str | None, expected: Kind) -> None:
    assert chosen(header, parameter) is expected


@pytest.mark.parametrize(
    ("header", "parameter", "stored", "format"),
    [
        # These types mean the stored audio, in any format.
        *[(name, None, stored, None) for name in ("audio/mpeg", "audio/mp3", "audio/*") for stored in (MP3, WAV)],
        *[(name, None, WAV, None) for name, format in CONVERTED_TYPES.items() if format == "wav"],
        # Another format.
        *[(name, None, MP3, format) for name, format in CONVERTED_TYPES.items()],
        *[(None, name, MP3, format) for name, format in CONVERTED_TYPES.items()],
        ("audio/ogg", None, WAV, "opus"),
        ('audio/ogg; codecs="opus"', None, MP3, "opus"),
        # The stored format wins if it is accepted, but the parameter wins over it.
        ("audio/webm,audio/ogg,audio/wav,audio/*;q=0.9,*/*;q=0.5", None, MP3, None),
        ("audio/ogg, audio/mpeg;q=0.1", None, MP3, None),
        ("audio/ogg, audio/wav;q=0.1", None, WAV, None),
        ("audio/flac;q=0.5, audio/ogg", None, WAV, "opus"),
        ("audio/mpeg", "audio/ogg", MP3, "opus"),
        (None, "audio/ogg, audio/mpeg;q=0.5", MP3, None),
    ],
)
def test_the_format_of_the_audio(header: str | None, parameter: str | None, stored: str, format: str | None) -> None:
    choice = pick(choose(header, parameter, PLAYED, csv=True), stored)
    assert choice.kind is Kind.AUDIO
    assert (None if choice.suits(stored) else choice.format) == format


@pytest.mark.parametrize("header", ["text/html", "application/xml", "audio/mpeg;q=0", "image/png, video/*"])
def test_an_unsupported_accept_is_406(header: str) -> None:
    with pytest.raises(V2Error) as fault:
        choose(header, None, PLAYED)
    assert (fault.value.status, fault.value.bare) == (406, True)


@pytest.mark.parametrize(
    "header", ["audio", "audio/", "/", "a/b;q=2", "a/b;;", "a/b c/d", "a/b;q=x", "a/b" * 2_000, "é/é"]
)
def test_a_malformed_accept_is_400(header: str) -> None:
    with pytest.raises(V2Error) as fault:
        choose(header, None, PLAYED)
    assert (fault.value.status, fault.value.bare) == (400, True)


@pytest.mark.parametrize("name", ["text/csv", "text/comma-separated-values", "application/octet-stream", "text/*"])
def test_csv_types(name: str) -> None:
    assert choose(name, None, TABLE)[0].kind is Kind.CSV
    assert choose(None, name, TABLE)[0].kind is Kind.CSV


@given(st.text(max_size=60), st.text(max_size=30))
def test_any_text_gives_a_choice_or_an_error(header: str, parameter: str) -> None:
    with suppress(V2Error):
        assert all(isinstance(choice, Choice) for choice in choose(header, parameter, PLAYED, csv=True))
