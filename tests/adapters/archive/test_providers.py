"""The URLs of attachments at storage providers, from the terms that Kazoo's handlers store."""

from base64 import b64encode
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.archive.erlang_term import ErlangTermError, decode_term
from adapters.archive.providers import ProviderError, provider_url


class Atom(str):
    """An Erlang atom."""

    __slots__ = ()


def encoded(value: Any) -> bytes:  # noqa: PLR0911 - one line for each kind
    """Encode a term as Erlang's term_to_binary does."""
    if isinstance(value, Atom):
        text = value.encode()
        return b"d" + pack(">H", len(text)) + text
    if isinstance(value, str):
        return encoded(value.encode())
    if isinstance(value, bytes):
        return b"m" + pack(">I", len(value)) + value
    if isinstance(value, int):
        return b"a" + pack(">B", value) if 0 <= value < 256 else b"b" + pack(">i", value)
    if isinstance(value, float):
        return b"F" + pack(">d", value)
    if isinstance(value, tuple):
        return b"h" + pack(">B", len(value)) + b"".join(map(encoded, value))
    if isinstance(value, dict):
        return b"t" + pack(">I", len(value)) + b"".join(encoded(item) for pair in value.items() for item in pair)
    items = b"".join(map(encoded, value))
    return b"l" + pack(">I", len(value)) + items + b"j" if value else b"j"


def stored(value: Any) -> str:
    return b64encode(b"\x83" + encoded(value)).decode()


SECRETS = {Atom("key"): "AKIA", Atom("secret"): "hidden"}
S3 = {**SECRETS, Atom("bucket"): "acme", Atom("host"): "s3.amazonaws.com", Atom("port"): 443}
GOOGLE = {Atom("bucket"): "acme", Atom("oauth_doc_id"): "x"}
AZURE = {Atom("account"): "acme", Atom("container"): "calls", Atom("key"): "hidden"}


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ({"kz_att_http": {"url": "https://audio.example.com/a/1.mp3?t=x"}}, "https://audio.example.com/a/1.mp3?t=x"),
        ({"kz_att_http": {"url": "http://u:p@10.0.0.1:8080/x"}}, "http://u:p@10.0.0.1:8080/x"),
        ({"kz_att_s3": {"S3": stored((S3, "calls/1 2.mp3")), "etag": "x"}}, "s3://acme/calls/1 2.mp3"),
        ({"kz_att_s3": {"S3": stored({**S3, Atom("file"): "1.mp3"})}}, "s3://acme/1.mp3"),
        (
            {"kz_att_google_storage": {"gstorage": stored((GOOGLE, "https://www.googleapis.com/x?alt=media"))}},
            "https://www.googleapis.com/x?alt=media",
        ),
        (
            {"kz_att_google_storage": {"gstorage": stored((GOOGLE, (Atom("name"), "a/1.mp3")))}},
            "https://www.googleapis.com/storage/v1/b/acme/o/a%2F1.mp3?alt=media",
        ),
        (
            {"kz_att_google_drive": {"gdrive": stored(("token", "1aB"))}},
            "https://www.googleapis.com/drive/v3/files/1aB?alt=media",
        ),
        (
            {"kz_att_azure": {"azure": stored((AZURE, "a/1.mp3"))}},
            "https://acme.blob.core.windows.net/calls/a/1.mp3",
        ),
        (
            {"kz_att_onedrive": {"onedrive": stored((GOOGLE, ("drive", "item")))}},
            "https://graph.microsoft.com/v1.0/drives/drive/items/item/content",
        ),
    ],
)
def test_the_url_of_an_attachment(handler: Any, expected: str) -> None:
    assert provider_url(handler) == expected


@pytest.mark.parametrize(
    "handler",
    [
        {},
        "kz_att_s3",
        {"kz_att_http": {}},
        {"kz_att_http": None},
        {"kz_att_http": {"url": 7}},
        {"kz_att_http": {"url": "file:///etc/passwd"}},
        {"kz_att_http": {"url": "https://x/1.mp3", "base64_encode_data": True}},
        {"kz_att_http": {"url": "http://["}},
        {"kz_att_s3": {"S3": "!"}},
        {"kz_att_s3": {"S3": stored(("key", "secret", "bucket", "path"))}},
        {"kz_att_s3": {"S3": stored((SECRETS, "1.mp3"))}},
        {"kz_att_s3": {"S3": stored(({**S3, Atom("bucket"): "a/b"}, "1.mp3"))}},
        {"kz_att_azure": {"azure": stored(({**AZURE, Atom("account"): "x.example.com/"}, "1.mp3"))}},
        {"kz_att_google_drive": {"gdrive": stored([1, 2, 3])}},
        {"kz_att_dropbox": {"dropbox": "x"}},
        {"kz_att_http": {"url": "https://x/1"}, "kz_att_s3": {}},
    ],
)
def test_a_handler_that_cannot_be_used_names_the_way_out_and_no_secret(handler: Any) -> None:
    with pytest.raises(ProviderError, match="copy the audio into the folder for --media") as raised:
        provider_url(handler)
    assert "hidden" not in str(raised.value)


terms = st.recursive(
    st.integers(-(2**31), 2**31 - 1) | st.floats(allow_nan=False) | st.binary(max_size=9) | st.just(b"x"),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.binary(max_size=3), inner),
    max_leaves=9,
)


@given(terms)
def test_terms_are_decoded(value: Any) -> None:
    assert decode_term(b"\x83" + encoded(value)) == value


@given(st.binary(max_size=60))
def test_other_bytes_are_no_term(data: bytes) -> None:
    for each in (data, b"\x83" + data, b"\x83P\0\0\0\1" + data):
        try:
            decode_term(each)
        except ErlangTermError:
            continue
