"""The parameters of a recording: defaults, limits and errors."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.model.errors import InvalidInput
from recordings.model.options import PARAMETERS, SAMPLE_RATES, RecordingOptions, is_in, parse_options

DOCUMENTED = {
    "action": "start", "format": None, "label": None, "media_name": None, "method": "put", "origin": None,
    "record_min_sec": 0, "record_on_answer": False, "record_on_bridge": False, "record_sample_rate": None,
    "should_follow_transfer": True, "skip_module": False, "time_limit": 3600, "url": None,
}  # fmt: skip


def test_every_documented_parameter_exists_with_its_default() -> None:
    assert {name: parameter.default for name, parameter in PARAMETERS.items()} == DOCUMENTED
    kept = RecordingOptions()
    for name, parameter in PARAMETERS.items():
        assert parameter.description.endswith(".")
        if parameter.option:
            assert getattr(kept, name) == parameter.default


def test_missing_parameters_get_their_defaults() -> None:
    assert parse_options({}) == parse_options(dict.fromkeys(PARAMETERS)) == RecordingOptions()


GOOD: list[tuple[str, Any]] = [
    ("action", "stop"), ("format", "wav"), ("label", "x" * 128), ("media_name", "Anruf für Ada.mp3"),
    ("method", "post"),
    ("record_min_sec", 0), ("record_min_sec", 20_000), ("record_on_answer", True), ("time_limit", 5),
    ("time_limit", 10_800), ("url", "https://example.com/in?file"), ("skip_module", True),
    *(("record_sample_rate", rate) for rate in SAMPLE_RATES),
]  # fmt: skip

BAD: list[tuple[str, Any, str]] = [
    ("action", "toggle", "enum"), ("format", "mp4", "enum"), ("format", 3, "type"), ("label", "x" * 129, "maxLength"),
    ("label", "", "minLength"), ("label", "a\nb", "pattern"), ("media_name", "../etc/passwd", "pattern"),
    ("media_name", "/abs.mp3", "pattern"), ("media_name", "a\\b", "pattern"), ("media_name", "..", "pattern"),
    ("media_name", "x" * 256, "maxLength"), ("method", "PUT", "enum"), ("origin", "me", "readOnly"),
    ("record_min_sec", -1, "minimum"), ("record_min_sec", True, "type"), ("record_min_sec", 2**31, "maximum"),
    ("record_on_bridge", "true", "type"), ("record_sample_rate", 44_100, "enum"), ("time_limit", 4, "minimum"),
    ("time_limit", 0, "minimum"), ("time_limit", 10_801, "maximum"), ("time_limit", 3600.0, "type"),
    ("url", "ftp://example.com", "pattern"), ("url", "http://", "pattern"), ("url", "http://a:b", "pattern"),
    ("url", "https://example.com/a b", "pattern"), ("url", "//example.com", "pattern"),
    ("surprise", 1, "additionalProperties"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_allowed_values_are_accepted(name: str, value: Any) -> None:
    options = parse_options({name: value})
    if PARAMETERS[name].option:
        assert getattr(options, name) == value


@pytest.mark.parametrize(("name", "value", "rule"), BAD)
def test_the_error_of_an_invalid_value_has_the_field_and_its_limits(name: str, value: Any, rule: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_options({name: value}, ("input",))
    (problem,) = refused.value.problems
    assert (problem.path, problem.rule, problem.given) == (("input", name), rule, value)
    assert problem.message.startswith(f"input.{name} must be {problem.allowed}, not ")


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("s3://drops/in/of-ada", True),
        ("S3://drops/in/", True),
        ("s3://drops/elsewhere", False),
        ("s3://dropship/in/", False),
        ("ftp://files.example.com/in", True),
        ("http://example.com/in", False),
    ],
)
def test_a_url_must_begin_with_an_allowed_prefix(url: str, accepted: bool) -> None:
    url_prefixes = ("s3://drops/in/", "ftp://")
    if accepted:
        assert parse_options({"url": url}, url_prefixes=url_prefixes).url == url
        return
    with pytest.raises(InvalidInput, match="beginning with s3://drops/in/ or ftp://, not"):
        parse_options({"url": url}, url_prefixes=url_prefixes)


def test_the_error_has_all_invalid_values() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_options({"time_limit": 1, "format": "ogg", "label": "fine"})
    assert {problem.path for problem in refused.value.problems} == {("time_limit",), ("format",)}


@given(st.text(max_size=300))
def test_a_name_is_never_a_path(text: str) -> None:
    try:
        name = parse_options({"media_name": text}).media_name
    except InvalidInput:
        return
    assert name is None or Path(name).name == name == Path("/root", name).resolve().name


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://drops.example.org", True),
        ("https://drops.example.org/in?x=1", True),
        ("https://drops.example.org?x=1", True),
        ("https://drops.example.org.evil.example/", False),
        ("https://drops.example.org@evil.example/", False),
        ("https://drops.example.org:8443/", False),
        ("s3://drops", True),
        ("s3://drops/in", True),
        ("s3://drops-of-others/in", False),
        ("https://h.example/put?key=abc", True),
    ],
)
def test_a_prefix_matches_whole_names_only(url: str, accepted: bool) -> None:
    assert is_in(url, ("https://drops.example.org", "s3://drops", "https://h.example/put?key=")) is accepted
