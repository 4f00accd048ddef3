"""Bencode and the ng protocol: captured messages, every value, and damage."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.rtpengine.bencode import MAX_NESTING, BencodeError, decode, encode
from adapters.recorders.rtpengine.ng_protocol import NgError, read_reply, request
from tests.contract.recorders.ng_double import NgDouble

CAPTURED = Path(__file__).parent / "captured" / "rtpengine_ng_transcript.jsonl"
EXCHANGES = [json.loads(line) for line in CAPTURED.read_text().splitlines()]
VALUES: Any = st.recursive(
    st.integers(-(10**17), 10**17) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_a_value_is_decoded_as_it_was_encoded(value: Any) -> None:
    assert decode(encode(value)) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_an_error(data: bytes) -> None:
    with suppress(BencodeError):
        decode(data)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_damaged_reply_is_a_reply_or_an_error(at: int, damage: bytes) -> None:
    whole = b"c " + EXCHANGES[6]["reply"].encode()
    with suppress(NgError):
        read_reply("c", whole[:at] + damage + whole[at + len(damage) :])


def test_deep_nesting_is_an_error() -> None:
    with pytest.raises(BencodeError, match="nested"):
        decode(b"l" * (MAX_NESTING + 2) + b"e" * (MAX_NESTING + 2))


@pytest.mark.parametrize(
    "data", [b"", b"i12", b"i--1e", b"5:abc", b"-1:", b"l", b"di1ei2ee", b"d1:ae", b"i1ei2e", b"x"]
)
def test_incomplete_values_are_errors(data: bytes) -> None:
    with pytest.raises(BencodeError):
        decode(data)


def test_a_request_has_sorted_keys_as_the_captured_one() -> None:
    message = request("c1", "start recording", call_id="call-f3f0cda6", metadata="recording_id=rec-1")
    assert message == b"c1 " + EXCHANGES[3]["request"].encode()


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_captured_replies_are_read(exchange: dict[str, str]) -> None:
    reply = read_reply("c1", f"c1 {exchange['reply']}".encode())
    command = decode(exchange["request"].encode())["command"]
    assert reply.is_unknown_command is (command == "pause recording")
    assert reply.is_unknown_call is ("nope" in exchange["request"])
    assert reply.is_ok is not (reply.is_unknown_call or reply.is_unknown_command)


@pytest.mark.parametrize("message", [b"", b"c2 d6:result2:oke", b"c1 le", b"c1 d6:resulti1ee", b"c1 xx"])
def test_another_message_is_not_a_reply(message: bytes) -> None:
    with pytest.raises(NgError):
        read_reply("c1", message)


def test_the_double_answers_as_the_captured_rtpengine(tmp_path: Path) -> None:
    double = NgDouble(tmp_path)
    for name in ("pcaps", "metadata"):
        (tmp_path / name).mkdir()
    double.ring("call-f3f0cda6")
    for exchange in EXCHANGES:
        asked, told = decode(exchange["request"].encode()), decode(exchange["reply"].encode())
        if asked["command"] in {"ping", "start recording", "stop recording", "pause recording"}:
            assert double._execute({"metadata": "", **asked}) == told
