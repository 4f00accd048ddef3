"""The exact URL of a delivery (`docs/v2_contract.md`, section 7.1)."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.delivery.target_url import file_name, folder_address, folder_path, query_parameters, web_address
from recordings.model.recording import Recording
from tests.contract.metadata.samples import recording as sample

NAME = "call_recording_a@b.mp3"
FILE = "call_recording_a%40b.mp3"
QUERY = (("from", "1001@x"), ("to", ""))
DESCRIPTION = "from=1001%40x&to="


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h.example", f"https://h.example/{FILE}?{DESCRIPTION}"),
        ("https://h.example/", f"https://h.example/{FILE}?{DESCRIPTION}"),
        ("https://h.example/in", f"https://h.example/in/{FILE}?{DESCRIPTION}"),
        ("https://h.example/in/", f"https://h.example/in/{FILE}?{DESCRIPTION}"),
        ("https://h.example/in?", f"https://h.example/in/{FILE}?{DESCRIPTION}"),
        ("https://h.example/in/?", f"https://h.example/in/{FILE}?{DESCRIPTION}"),
        ("https://h.example/in?file=", f"https://h.example/in?file={FILE}&{DESCRIPTION}"),
        ("https://h.example/in?file", f"https://h.example/in?file={FILE}&{DESCRIPTION}"),
        ("https://h.example/in?a=b", f"https://h.example/in?a=b&recording={FILE}&{DESCRIPTION}"),
        ("https://h.example/in?a=b&file=", f"https://h.example/in?a=b&file={FILE}&{DESCRIPTION}"),
        ("https://h.example/in?a=b&file", f"https://h.example/in?a=b&file={FILE}&{DESCRIPTION}"),
        ("https://h.example/in?file=&a=b", f"https://h.example/in?file=&a=b&recording={FILE}&{DESCRIPTION}"),
        ("https://h.example/in?a=b/", f"https://h.example/in?a=b&recording={FILE}&{DESCRIPTION}"),
        ("https://u:p%40@h.example:8443/in#x", f"https://u:p%40@h.example:8443/in/{FILE}?{DESCRIPTION}"),
        ("https://h.example/a%2Fb?x=%41", f"https://h.example/a%2Fb?x=%41&recording={FILE}&{DESCRIPTION}"),
        (
            "https://bücher.example/ü?ö=ä",
            f"https://xn--bcher-kva.example/%C3%BC?%C3%B6=%C3%A4&recording={FILE}&{DESCRIPTION}",
        ),
    ],
)
def test_the_file_name_is_added_to_each_form_of_url(url: str, expected: str) -> None:
    assert web_address(url, NAME, QUERY) == expected


def full() -> Recording:
    return sample(
        id="202611-1", call_id="c/1@10.0.0.1", start=1_795_336_400_999, format="wav", from_="1001@x.example",
        to="+49 30", caller_id_name="Zoë & Co", caller_id_number="+4930", cdr_id="202611-c", interaction_id="i",
        owner_id=None, account_id="acc", duration_ms=42_380,
    )  # fmt: skip


def test_the_query_has_the_contracts_parameters_in_order() -> None:
    address = web_address("https://h.example/", file_name(full()), query_parameters(full()))
    assert address == (
        "https://h.example/call_recording_c%2F1%4010.0.0.1.wav?from=1001%40x.example&to=%2B49%2030"
        "&caller_id_name=Zo%C3%AB%20%26%20Co&caller_id_number=%2B4930&call_id=c%2F1%4010.0.0.1&cdr_id=202611-c"
        "&interaction_id=i&owner_id=&account_id=acc&start=63962555600&duration_ms=42380&recording_id=202611-1"
    )


def test_a_missing_value_is_empty() -> None:
    nameless = sample(caller_id_name=None, duration_ms=None)
    assert dict(query_parameters(nameless))["caller_id_name"] == ""
    assert dict(query_parameters(nameless))["duration_ms"] == ""


def test_a_call_id_adds_no_path_segment() -> None:
    assert folder_address("ftp://h.example/in/", "call_recording_../../x.mp3") == (
        "ftp://h.example/in/call_recording_.._.._x.mp3"
    )
    for name, kept in (("../../x", ".._.._x"), ("%2F..%2Fx", "%2F..%2Fx"), ("a?b#c", "a?b#c")):
        assert folder_path("ftp://u:p@h.example/in/to%20day/", f"{name}.mp3") == f"/in/to day/{kept}.mp3"
    assert folder_path("ftp://h.example?x#y", "x.mp3") == "/x.mp3"


@given(st.lists(st.tuples(st.sampled_from(["from", "to", "call_id"]), st.text(max_size=20)), max_size=5))
def test_every_value_can_be_decoded(pairs: list[tuple[str, str]]) -> None:
    pairs = [(name, value.encode("utf-8", "ignore").decode()) for name, value in pairs]
    address = web_address("https://h.example/in?a=b", "x.mp3", pairs)
    assert address.isascii()
    assert parse_qsl(urlsplit(address).query, keep_blank_values=True) == [("a", "b"), ("recording", "x.mp3"), *pairs]


@given(st.text(max_size=30))
def test_a_name_stays_in_its_folder(call_id: str) -> None:
    name = file_name(sample(call_id=call_id.encode("utf-8", "ignore").decode()))
    parts = urlsplit(web_address("https://h.example/in", name, ()))
    assert parts.netloc == "h.example"
    assert parts.path.count("/") == 2
    assert parts.path.startswith("/in/call_recording_")
