"""The addresses that Kazoo builds from its `url` parameter (docs/v2_contract.md, section 7.1)."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.dialects.kazoo_upload import MAX_QUERY, NotAnUpload, ReceivedFile, Upload, read
from recordings.model.options import is_plain_name
from recordings.model.recording import Direction

NOW = 1_795_336_400_000
KAZOO = "from={}&to={}&caller_id_name={}&caller_id_number={}&call_id={}&cdr_id={}&interaction_id={}&account_id={}"
CALL = "c1d2-4.5_6@10.0.0.1"


def kazoo(*values: str) -> str:
    return KAZOO.format(*(quote(value, safe="") for value in values))


QUERY = kazoo("1001@pbx.example", "+4930@pbx.example", "Zoë & Co", "1001", CALL, "202611-c1", "i-1", "f" * 32)
NEWER = f"{QUERY}&owner_id=own&start=63962555600&duration_ms=12000&recording_id=202611-{'0' * 31}a"


def parse(tail: str, query: str) -> Upload:
    return read(tail, query, "acc", NOW, ReceivedFile())


@pytest.mark.parametrize(
    ("tail", "query"),
    [
        (f"call_recording_{CALL}.mp3", QUERY),
        (f"call_recording_{CALL}..mp3", QUERY),
        (f"some/folder/call_recording_{CALL}.mp3", QUERY),
        ("", f"file=call_recording_{quote(CALL)}.mp3&{QUERY}"),
        ("", f"file=call_recording_{quote(CALL)}..mp3&{QUERY}"),
        ("", f"a=b&recording=call_recording_{quote(CALL)}.mp3&{QUERY}"),
        ("upload.php", f"a=b&recording=call_recording_{quote(CALL)}.mp3&{QUERY}"),
    ],
)
def test_every_form_of_the_address(tail: str, query: str) -> None:
    upload = parse(tail, query)
    call = upload.call
    assert upload.name == f"call_recording_{CALL}.mp3"
    assert upload.extension == "mp3"
    assert (call.account_id, call.call_id, call.cdr_id, call.interaction_id) == ("acc", CALL, "202611-c1", "i-1")
    assert (call.from_, call.to) == ("1001@pbx.example", "+4930@pbx.example")
    assert (call.caller_id_name, call.caller_id_number) == ("Zoë & Co", "1001")
    assert call.custom_channel_vars["Account-ID"] == "f" * 32
    assert call.started == NOW


def test_parameters_of_newer_versions() -> None:
    upload = parse(f"call_recording_{CALL}.mp3", NEWER)
    assert upload.recording_id == f"202611-{'0' * 31}a"
    assert upload.call.owner_id == "own"
    assert upload.call.started == (63_962_555_600 - 62_167_219_200) * 1_000


def test_an_empty_value_counts_as_missing() -> None:
    upload = parse(f"call_recording_{CALL}.wav", kazoo("", "", "", "", "", "", "", "") + "&owner_id=&start=")
    call = upload.call
    assert call.call_id == CALL  # from the name
    assert (call.from_, call.to, call.owner_id, call.started) == ("", "", None, NOW)
    assert (call.caller_id_name, call.cdr_id, call.interaction_id) == (None, None, None)
    assert call.custom_channel_vars == {}


@pytest.mark.parametrize("identity", ["202611-abc", f"202613-{'a' * 32}", f"202611-{'A' * 32}", "../x", f"x{'a' * 32}"])
def test_a_recording_id_of_another_form_is_ignored(identity: str) -> None:
    assert parse(f"call_recording_{CALL}.mp3", f"recording_id={quote(identity)}").recording_id is None


@pytest.mark.parametrize("start", ["0", "-5", "abc", "9" * 12, "9" * 13, "1.5"])
def test_an_implausible_start_is_replaced_by_the_current_time(start: str) -> None:
    assert parse(f"call_recording_{CALL}.mp3", f"start={start}").call.started == NOW


def test_direction_and_custom_parameters_are_kept() -> None:
    upload = parse(f"call_recording_{CALL}.mp3", "direction=outbound&team=blue&token=call_recording_x")
    assert upload.call.direction is Direction.OUTBOUND
    assert upload.call.custom_channel_vars["team"] == "blue"


def test_a_retry_has_the_same_source_key_and_another_call_has_another_key() -> None:
    one, again = parse(f"call_recording_{CALL}.mp3", QUERY), parse(f"call_recording_{CALL}.mp3", QUERY)
    other = parse("call_recording_x.mp3", QUERY.replace("c1d2", "zzzz"))
    assert one.source_key == again.source_key != other.source_key


@pytest.mark.parametrize(
    ("tail", "query"),
    [
        ("", ""),
        ("voice.mp3", ""),
        ("call_recording_.mp3", ""),
        (f"call_recording_{'x' * 200}.mp3", ""),
        ("call_recording_x.mp3", "a=" + "b" * MAX_QUERY),
        ("call_recording_x.mp3", "&".join(f"a{number}=1" for number in range(100))),
        ("call_recording_x.mp3", "from=%FF%FE"),
    ],
)
def test_an_address_without_a_call_id_is_refused(tail: str, query: str) -> None:
    with pytest.raises(NotAnUpload):
        parse(tail, query)


@pytest.mark.parametrize(
    ("tail", "extension"),
    [
        ("call_recording_x", "bin"),
        ("call_recording_x.MP3", "mp3"),
        ("call_recording_x.wav", "wav"),
        ("call_recording_x.tar.gz", "gz"),
        ("call_recording_x.much-too-long", "bin"),
        (f"call_recording_{'x' * 493}.mp3", "mp3"),
        (f"call_recording_{'x' * 494}.mp3", "mp3"),
        # The pattern fails only at the end of this name, once for each of its dots.
        (f"call_recording_{'.' * 60_000}\n", "bin"),
    ],
)
def test_the_extension_comes_from_the_file_name(tail: str, extension: str) -> None:
    assert parse(tail, "call_id=x").extension == extension


@given(st.text(max_size=200), st.text(max_size=300))
def test_any_address_is_read_or_refused(tail: str, query: str) -> None:
    try:
        upload = parse(tail, query)
    except NotAnUpload:
        return
    assert is_plain_name(upload.name)
    assert len(upload.name) <= 255
    assert 0 < len(upload.call.call_id) <= 128
    assert upload.extension.isalnum()
    assert len(upload.source_key) == 70
