"""`start_key`: the examples of Kazoo byte for byte. Other Erlang terms are rejected."""

import struct
from base64 import urlsafe_b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.rest_v2.listing.list_query import just_below
from adapters.rest_v2.listing.start_key import HIGH, BadKeyError, Element, decode, encode
from recordings.model.ids import MAX_ID
from recordings.model.query import MAX_TEXT

USER = "8e248327b85591955749e53ea45b6baa"
NEXT = "g2wAAAACbgUAE0Rl3w5tAAAAJzIwMjQwMy01ZjNhOWMwZDdiMWU0YzJhOGQ2ZjBlOWIxYTJjM2Q0ZWo"


@pytest.mark.parametrize(
    ("elements", "text"),
    [
        ([63877497874, HIGH], "g2wAAAACbgUAEkRl3w5oAWpq"),
        ([63877497875, "202403-5f3a9c0d7b1e4c2a8d6f0e9b1a2c3d4e"], NEXT),
    ],
)
def test_the_examples_of_kazoo(elements: list[Element], text: str) -> None:
    assert encode(elements) == text
    assert decode(text) == elements


def test_a_users_key_begins_with_the_user() -> None:
    text = encode([USER, 63877497874, HIGH])
    assert text.startswith("g2wAAAADbQAAACA4ZTI0")
    assert decode(text) == [USER, 63877497874, HIGH]


elements = st.one_of(st.integers(-(2**63) + 1, 2**63 - 1), st.text(max_size=60), st.just(HIGH))


@given(st.lists(elements, max_size=4))
def test_an_encoded_key_can_be_decoded(key: list[Element]) -> None:
    assert decode(encode(key)) == key


def test_the_longest_key_can_be_decoded() -> None:
    longest: list[Element] = ["\U0001f600" * MAX_TEXT, 2**62, just_below("\U0001f600" * MAX_ID)]
    assert decode(encode(longest)) == longest


@given(st.one_of(st.text(), st.binary().map(lambda raw: urlsafe_b64encode(b"\x83l" + raw).decode().rstrip("="))))
@example("")
@example("g2wAAAACbgUAEkRl3w5oAWpqAA")
@example("x" * 5_000)
@example("é")
def test_any_other_text_is_rejected_or_canonical(text: str) -> None:
    try:
        found = decode(text)
    except BadKeyError:
        return
    assert encode(found) == text.rstrip("=")


def key(body: bytes, count: int = 1, version: int = 0x83) -> str:
    return urlsafe_b64encode(struct.pack(">BBI", version, 0x6C, count) + body + b"\x6a").decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        key(b"\x64\x00\x04true"),  # an atom: to decode atoms lets a client fill the memory of an Erlang node
        key(b"\x46" + b"\0" * 8),  # a float
        key(b"\x6d\xff\xff\xff\xff"),  # a text that is longer than the key
        key(b"\x6e\xff\x00" + b"\1" * 255),  # a huge integer
        key(b"\x6e\x01\x02\x05"),  # an invalid sign
        key(b"\x61\x05", count=2**31),
        key(b"\x61\x05" * 5, count=5),
        key(b"\x61\x05", version=0x82),
        key(b"\x6d\x00\x00\x00\x01\xff"),  # not UTF-8
        key(b"\x68\x02\x6a\x6a"),
        key(b"\x6e\x01\x00\x05"),  # an integer with unnecessary bytes
    ],
)
def test_terms_that_are_not_keys(text: str) -> None:
    with pytest.raises(BadKeyError):
        decode(text)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40), st.text(max_size=40))
@example("\ue000", "\ud7ff")
@example("b", "a")
def test_no_id_lies_between_an_id_and_the_text_just_below_it(identity: str, other: str) -> None:
    below = just_below(identity)
    assert below < identity
    assert not below < other < identity or "\U0010ffff" in other
