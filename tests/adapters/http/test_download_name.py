"""The file names of downloads."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.download_name import content_disposition, download_name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a call.mp3", 'attachment; filename="a call.mp3"'),
        ("Müller.mp3", "attachment; filename=\"M_ller.mp3\"; filename*=UTF-8''M%C3%BCller.mp3"),
        ('say "hi".wav', "attachment; filename=\"say _hi_.wav\"; filename*=UTF-8''say%20%22hi%22.wav"),
        ("100%.mp3", "attachment; filename=\"100_.mp3\"; filename*=UTF-8''100%25.mp3"),
        ("../../etc/passwd", 'attachment; filename="_.._etc_passwd"'),
        ("a\r\nX-Evil: 1", 'attachment; filename="a__X-Evil: 1"'),
        ("gpj.\u202e3pm", 'attachment; filename="gpj._3pm"'),
        ("", 'attachment; filename="recording"'),
        ("...", 'attachment; filename="recording"'),
        ("\ud800", 'attachment; filename="_"'),
    ],
)
def test_the_header_value_of_a_name(name: str, value: str) -> None:
    assert content_disposition(name) == value


def test_inline_disposition() -> None:
    assert content_disposition("a.mp3", inline=True) == 'inline; filename="a.mp3"'


@given(st.text())
def test_every_name_is_one_header_and_no_path(name: str) -> None:
    value = content_disposition(name)
    assert re.fullmatch(
        r"attachment; filename=\"[ !#-\[\]-~]+\"(; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+)?", value
    )
    assert "/" not in value
    assert len(value) < 3_000


@pytest.mark.parametrize(
    ("name", "content_type", "expected"),
    [
        ("", "audio/mpeg", "id.mp3"),
        ("a", "audio/mpeg", "a.mp3"),
        ("a.mp3", "audio/mpeg", "a.mp3"),
        ("a.MP3", "audio/mp3; x=y", "a.MP3"),
        ("a.wav", "audio/mpeg", "a.mp3"),
        ("a.mp3", "audio/x-wav", "a.wav"),
        ("a.mp3", "Audio/WAV", "a.wav"),
        ("a.mp3.wav", "audio/mpeg", "a.mp3.mp3"),
        ("call.2024-03.wav", "audio/flac", "call.2024-03.flac"),
        ("a.2024", "audio/flac", "a.2024.flac"),
        ("a.mp3", "audio/ogg", "a.opus"),
        ("a.ogg", "audio/ogg", "a.ogg"),
        ("a.wave", "audio/wav", "a.wave"),
        ("a.mp3", "audio/mp4", "a.m4a"),
        ("a.mp4", "audio/mp4", "a.mp4"),
        ("a.mp3", "application/octet-stream", "a.mp3"),
        (".mp3", "audio/wav", ".mp3.wav"),
        ("x" * 300, "audio/mpeg", "x" * 196 + ".mp3"),
        ("x" * 300 + ".wav", "audio/flac", "x" * 195 + ".flac"),
    ],
)
def test_the_extension_is_that_of_the_served_type(name: str, content_type: str, expected: str) -> None:
    assert download_name(name, "id", content_type) == expected
