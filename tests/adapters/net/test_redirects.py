"""Redirects, followed with the same method and body, and never for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.net import Redirected, RedirectRefusedError, redact_url


def test_a_relative_place_is_found() -> None:
    assert Redirected("https://a.example/x/y?z=1").follow("../w?q#part").url == "https://a.example/w?q"
    assert Redirected("https://a.example/x").follow("//b.example/").url == "https://b.example/"


def test_a_circle_is_seen() -> None:
    place = Redirected("http://a.example/1").follow("/2").follow("/3")
    with pytest.raises(RedirectRefusedError, match="circle"):
        place.follow("/2")


def test_ten_are_followed_and_no_more() -> None:
    place = Redirected("http://a.example/0")
    for number in range(10):
        place = place.follow(f"/{number + 1}")
    with pytest.raises(RedirectRefusedError, match="more than 10"):
        place.follow("/11")


@pytest.mark.parametrize(
    "location", [None, "", "ftp://a.example/", "file:///etc/passwd", "http://", "http://a:99999/", "http://[::1", "x:y"]
)
def test_a_place_that_is_none_is_refused(location: str | None) -> None:
    with pytest.raises(RedirectRefusedError):
        Redirected("http://a.example/").follow(location)


def test_what_was_private_is_not_sent_in_the_open() -> None:
    with pytest.raises(RedirectRefusedError, match="plain http"):
        Redirected("https://a.example/").follow("http://a.example/x")
    assert Redirected("http://a.example/").follow("https://a.example/x").url == "https://a.example/x"


@given(st.text(max_size=60))
def test_any_location_leads_somewhere_on_the_web_or_is_refused(location: str) -> None:
    try:
        target = Redirected("https://a.example/b").follow(location).url
    except RedirectRefusedError:
        return
    assert target.startswith("https://")


@given(st.text(max_size=60))
def test_a_url_is_shown_without_its_secrets(text: str) -> None:
    assert "secret" not in redact_url(f"https://user:secret@a.example/x?token=secret#{text}".replace(" ", ""))
    assert len(redact_url(text)) <= 200


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:pw@a.example:8443/x/y?token=1#z", "https://a.example:8443/x/y"),
        ("http://[2606:4700::1]/x", "http://[2606:4700::1]/x"),
        ("http://ada@[::1]:80", "http://[::1]:80"),
        ("s3://bucket", "s3://bucket"),
        ("file:///x", "file:///x"),
        ("http://a:x/", "a malformed URL"),
        ("http://[", "a malformed URL"),
    ],
)
def test_a_url_is_shown_with_where_it_leads(url: str, shown: str) -> None:
    assert redact_url(url) == shown
