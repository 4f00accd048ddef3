"""Redirects: the same method and body, and a bounded number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.net import RedirectChain, RedirectRefusedError, redact_url


def test_a_relative_location_is_resolved() -> None:
    assert RedirectChain("https://a.example/x/y?z=1").follow("../w?q#part").url == "https://a.example/w?q"
    assert RedirectChain("https://a.example/x").follow("//b.example/").url == "https://b.example/"


def test_a_loop_is_refused() -> None:
    chain = RedirectChain("http://a.example/1").follow("/2").follow("/3")
    with pytest.raises(RedirectRefusedError, match="loop"):
        chain.follow("/2")


def test_at_most_ten_redirects_are_followed() -> None:
    chain = RedirectChain("http://a.example/0")
    for number in range(10):
        chain = chain.follow(f"/{number + 1}")
    with pytest.raises(RedirectRefusedError, match="more than 10"):
        chain.follow("/11")


@pytest.mark.parametrize(
    "location", [None, "", "ftp://a.example/", "file:///etc/passwd", "http://", "http://a:99999/", "http://[::1", "x:y"]
)
def test_a_location_that_is_no_web_url_is_refused(location: str | None) -> None:
    with pytest.raises(RedirectRefusedError):
        RedirectChain("http://a.example/").follow(location)


def test_a_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(RedirectRefusedError, match="plain http"):
        RedirectChain("https://a.example/").follow("http://a.example/x")
    assert RedirectChain("http://a.example/").follow("https://a.example/x").url == "https://a.example/x"


@given(st.text(max_size=60))
def test_any_location_is_a_web_url_or_is_refused(location: str) -> None:
    try:
        target = RedirectChain("https://a.example/b").follow(location).url
    except RedirectRefusedError:
        return
    assert target.startswith("https://")


@given(st.text(max_size=60))
def test_a_redacted_url_has_no_secrets(text: str) -> None:
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
def test_a_redacted_url_has_scheme_host_port_and_path(url: str, shown: str) -> None:
    assert redact_url(url) == shown
