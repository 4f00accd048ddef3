"""The parser of `Accept`: elements, qualities and parameters; and the three interfaces that use it, on the same fields.

A strict caller (REST v2) gets what cowlib accepts, the HTTP library of Kazoo.
"""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.accept import MAX_LENGTH, MalformedAcceptError, MediaRange, parse_accept, parse_media_type
from adapters.rest_v2.request.v2_errors import V2Error
from adapters.rest_v2.request.wanted_type import PLAYED, choose
from graph.execution.content_negotiation import JSON, RESPONSE, response_type
from graph.execution.request_errors import HttpError
from graph.media.wanted_format import wanted_format

NAMES = st.sampled_from(["audio/mpeg", "audio/ogg", "audio/*", "*/*", "application/json", RESPONSE, "text/html", "a"])
PARAMETERS = st.sampled_from([";q=0.5", ";q=1", "; q=0", ";q=x", ";q=nan", ";x", ";", ' ;x="a,b;c"', ';x="', ";q"])
FIELDS = st.lists(st.builds(lambda name, parts: name + "".join(parts), NAMES, st.lists(PARAMETERS, max_size=3)))


def test_elements_have_a_name_a_quality_and_parameters() -> None:
    assert parse_accept("Audio/MPEG;q=0.5, */* ; Q=0.1;v=B3,text/html") == [
        MediaRange("audio/mpeg", 0.5, ("q=0.5",)),
        MediaRange("*/*", 0.1, ("q=0.1", "v=b3")),
        MediaRange("text/html"),
    ]


def test_empty_elements_are_skipped() -> None:
    assert [each.name for each in parse_accept(" , a/b,,\tc/d, ", strict=True)] == ["a/b", "c/d"]


def test_a_quoted_string_may_hold_separators() -> None:
    field = r'a/b;x="1,2;q=0.1\"";q=0.5, c/d'
    for strict in (True, False):
        first, second = parse_accept(field, strict=strict)
        assert (first.name, first.quality, second.name) == ("a/b", 0.5, "c/d")
        assert first.values("x") == [r"1,2;q=0.1\""[:-1]]


@pytest.mark.parametrize(
    ("text", "quality"),
    [("0.5", 0.5), ("1", 1.0), ("2", 1.0), ("-1", 0.0), ("", 0.0), ("x", 0.0), ("nan", 0.0), ("inf", 1.0)],
)
def test_a_lenient_caller_gets_a_quality_from_0_to_1(text: str, quality: float) -> None:
    assert parse_accept(f"a/b;q={text}")[0].quality == quality


@pytest.mark.parametrize(
    "field",
    [
        *["", ",", "audio", "audio/", "/", "a/b;q=2", "a/b;q=0.1234", "a/b;q=1.001", "a/b;q=", "a/b;q=x", "a/b;;"],
        *["a/b;", "a/b c/d", "é/é", 'a/b;x="1', 'a/b;q="1"', "a/b;q = 1", "a/b\n", "a/b," + " " * MAX_LENGTH],
    ],
)
def test_a_strict_caller_gets_an_error_for_a_malformed_field(field: str) -> None:
    with pytest.raises(MalformedAcceptError):
        parse_accept(field, strict=True)
    parse_accept(field)


JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
"""The default of Java's HttpURLConnection until version 11."""


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (JAVA, [("text/html", 1.0), ("image/gif", 1.0), ("image/jpeg", 1.0), ("*/*", 0.2), ("*/*", 0.2)]),
        ("*", [("*/*", 1.0)]),
        ("* , a/b", [("*/*", 1.0), ("a/b", 1.0)]),
        ("a/b,*;q=0", [("a/b", 1.0), ("*/*", 0.0)]),
        ("*\t;level=1;q=.25", [("*/*", 0.25)]),
        *[(f"a/b;q={text}", [("a/b", value)]) for text, value in {
            ".1": 0.1, ".12": 0.12, ".123": 0.123, "0": 0.0, "0.": 0.0, "0.1": 0.1, "0.12": 0.12, "0.123": 0.123,
            "1": 1.0, "1.": 1.0, "1.0": 1.0, "1.00": 1.0, "1.000": 1.0,
        }.items()],
        # Cowlib reads a quality only after `q=` in lower case. `Q` is a parameter of the media range.
        ("a/b;Q=0.1", [("a/b", 1.0)]),
        ('text/html;level=1;quoted="hi hi hi";q=0.123;standalone;complex=gits, text/plain',
         [("text/html", 0.123), ("text/plain", 1.0)]),
        ("text/plain; charset=UTF-8", [("text/plain", 1.0)]),
        ("text/plain; charset=;q=.5", [("text/plain", 0.5)]),
        (",, \t a/b ,, ", [("a/b", 1.0)]),
        ('a/b;x="é\\"";q=.5', [("a/b", 0.5)]),
    ],
)  # fmt: skip
def test_a_strict_caller_gets_what_cowlib_accepts(field: str, expected: list[tuple[str, float]]) -> None:
    assert [(each.name, each.quality) for each in parse_accept(field, strict=True)] == expected


@pytest.mark.parametrize(
    "field",
    [
        *["audio/basic, */;q=0.5", "audio/, audio/basic", "aud\tio/basic", 'audio/basic;t="zero \\'],
        *["*a;q=1", "*/", "*b", "a/b;q=.", "a/b;q=.1234", "a/b;q=0.0001", "a/b;q=1.1", "a/b;q=01", "a/b;q=-1"],
        *["a/b;level", "a/b;q", "a/b;q=0.5;", "a/b;x=", 'a/b;x="\x01"', "a/b;q=.5 x", "a/b c/d"],
    ],
)
def test_a_strict_caller_gets_an_error_for_what_cowlib_rejects(field: str) -> None:
    with pytest.raises(MalformedAcceptError):
        parse_accept(field, strict=True)


@pytest.mark.parametrize("text", ['a/b;x="' + "\\" * 4_000, "a/b" + ";x=y" * 1_000 + ";", "a" * 4_000, " ," * 2_000])
def test_strict_parsing_takes_linear_time(text: str) -> None:
    began = time.process_time()
    with suppress(MalformedAcceptError):
        parse_accept(text, strict=True)
    assert time.process_time() - began < 0.5


def test_a_field_that_is_too_long_has_no_elements_for_a_lenient_caller() -> None:
    field = "a/b," * MAX_LENGTH
    assert parse_accept(field) == []
    assert len(parse_accept(field, max_length=None)) == MAX_LENGTH


@pytest.mark.parametrize("text", ['"' * 60_000, '"' + '\\"' * 30_000, '"' + '\\"' * 30_000 + "\\", 'a"' * 30_000])
def test_open_quoted_strings_take_linear_time(text: str) -> None:
    began = time.process_time()
    parse_accept(text, max_length=None)
    assert time.process_time() - began < 1.0


def test_the_parameters_of_one_media_type() -> None:
    media = parse_media_type('Application/JSON; charset="UTF-8"; charset=latin1; charset')
    assert (media.name, media.values("charset"), media.values("q")) == ("application/json", ["utf-8", "latin1"], [])
    assert parse_media_type("") == MediaRange("", 1.0, ())


@given(st.one_of(FIELDS.map(", ".join), st.text(max_size=80)))
def test_every_text_is_parsed_or_malformed(field: str) -> None:
    ranges = parse_accept(field)
    assert all(0.0 <= each.quality <= 1.0 and each.name == each.name.lower() for each in ranges)
    with suppress(MalformedAcceptError):
        assert parse_accept(field, strict=True) == ranges


def v2(field: str) -> list[str] | int:
    try:
        return [choice.type for choice in choose(field, None, PLAYED)]
    except V2Error as fault:
        return fault.status


def graphql(field: str) -> str | int:
    try:
        return response_type(field)
    except HttpError as problem:
        return problem.status


GOLDEN: list[tuple[str, list[str] | int, str | int, str | None]] = [
    ("*/*", ["*/*"], JSON, None),
    ("audio/mpeg, application/json", ["application/json", "audio/mpeg"], JSON, None),
    ("application/json, audio/ogg;q=1.0", ["audio/ogg", "application/json"], JSON, "opus"),
    ("audio/ogg;q=0.2, audio/flac;q=0.8", ["audio/flac", "audio/ogg"], 406, "flac"),
    ("audio/ogg;q=x, audio/flac;q=0.8", 400, 406, "flac"),
    ("audio/ogg;q=2, audio/flac", 400, 406, "opus"),
    ("audio/ogg;q =0.1, audio/flac;q=0.5", 400, 406, "opus"),
    ("audio/ogg;q=0.1;q=0.9, audio/flac;q=0.5", ["audio/flac", "audio/ogg"], 406, "flac"),
    (f"{JSON}, {RESPONSE}", [JSON], RESPONSE, None),
    (f"{RESPONSE};q=0.5, */*", ["*/*"], JSON, None),
    (f"{JSON};q=0, */*", ["*/*"], RESPONSE, None),
    (f'{JSON};charset="UTF-8"', [JSON], JSON, None),
    (f"{JSON};charset=latin1, {RESPONSE};q=0.1", [JSON], RESPONSE, None),
    ("application/*;q=0.1, text/html", ["application/*"], JSON, None),
    ("text/html", 406, 406, None),
    ("audio/ogg,;q=1", 400, 406, "opus"),
    (JAVA, ["*/*", "*/*"], JSON, None),
    ("*", ["*/*"], JSON, None),
    ("audio/mpeg;q=.9, *;q=.1", ["audio/mpeg", "*/*"], JSON, None),
]


@pytest.mark.parametrize(("field", "of_v2", "of_graphql", "of_media"), GOLDEN)
def test_each_interface_keeps_its_own_choice(
    field: str, of_v2: list[str] | int, of_graphql: str | int, of_media: str | None
) -> None:
    assert v2(field) == of_v2
    assert graphql(field) == of_graphql
    assert wanted_format(None, field, "audio/mpeg") == of_media
