"""The examples in `docs/ingest.md` work, and its lists are complete."""

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamdouble.protocol import MediaStreamEncoder  # type: ignore[import-untyped]
from websockets.sync.client import connect

from adapters.recorders.dialects.detect import DIALECTS
from adapters.recorders.dialects.kazoo_upload import KNOWN_PARAMETERS
from adapters.recorders.dialects.stream_call import KNOWN_STREAM_PARAMETERS
from tests.adapters.audio.made_files import make
from tests.e2e.installation import make_account, make_ingest
from tests.e2e.server import Client, Server, until

PAGE = (Path(__file__).parents[1] / "docs" / "ingest.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UPLOADS = [text for language, text in BLOCK.findall(PAGE) if language == "sh" and "curl" in text]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ingest")
    shutil.copy(make("w01_plain.wav", folder), folder / "call.wav")
    shutil.copy(make("r02.ulaw", folder), folder / "call.raw")
    with Server(folder / "data") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return server.client(make_account(server.data))


@pytest.fixture(scope="module")
def address(server: Server, client: Client) -> str:
    return server.url + make_ingest(server.data)


def test_the_page_has_an_example_for_each_form() -> None:
    forms = ("-T ", "--data-binary", "-F file=@", "gzip", "audio/PCMU")
    assert [form for form in forms if form not in "".join(UPLOADS)] == []


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("commands", UPLOADS, ids=lambda text: " ".join(text.split())[:60])
def test_the_commands_for_files_work(server: Server, client: Client, address: str, commands: str) -> None:
    folder = server.data.parent
    (folder / "call.wav.gz").unlink(missing_ok=True)
    environment = os.environ | {"ADDRESS": address}
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=folder, env=environment, check=True, timeout=60, stdout=subprocess.PIPE
    )
    answer = json.loads(done.stdout)
    assert answer.keys() == {"id", "state"}
    found = client.wait_for(answer["id"], "STORED")
    assert found["durationMs"] == pytest.approx(2_000, abs=20)
    assert found["callId"] in commands
    if "from=" in commands:
        assert found["from"].startswith("+14155550123@")
    if "label=" in commands:
        assert (found["label"], "outbound" in found["origin"]) == ("Sales", True)


def test_the_twiml_describes_a_call(client: Client, address: str) -> None:
    (text,) = (text for language, text in BLOCK.findall(PAGE) if language == "xml")
    stream = ET.fromstring(text).find("Start/Stream")  # noqa: S314 - our own document
    assert stream is not None
    assert (stream.attrib["track"], stream.attrib["url"].endswith("/ws")) == ("both_tracks", True)
    parameters = {each.attrib["name"]: each.attrib["value"] for each in stream.findall("Parameter")}
    encoder = MediaStreamEncoder()
    with connect(address.replace("http", "ws", 1) + "/ws") as socket:
        for message in (encoder.connected(), encoder.start(custom_parameters=parameters)):
            socket.send(json.dumps(message))
        fields = "callId from to direction ownerId"
        query = f"{{ viewer {{ account {{ calls(first: 9) {{ nodes {{ {fields} }} }} }} }} }}"
        (call,) = until(lambda: client.graphql(query)["viewer"]["account"]["calls"]["nodes"])
    assert (call["callId"], call["from"], call["to"]) == ("7f3f", "+14155550123", "+14155550199")
    assert (call["direction"].lower(), call["ownerId"]) == ("inbound", "o1")
    assert set(parameters) - KNOWN_STREAM_PARAMETERS == {"campaign"}


def test_the_examples_of_all_dialects_can_be_read() -> None:
    streams = PAGE.split("## Streams")[1]
    rows = [line.split("|") for line in streams.split("\n- ")[0].splitlines() if line.startswith("| ")]
    assert {cells[2].strip(" `") for cells in rows} - {"dialect", "–"} == set(DIALECTS)
    addresses = re.findall(r"wss://\S*?recordings\.example\.org(/[^\s\"`?<]*)", streams)
    assert set(addresses) == {"/ingest/ADDRESS/SECRET/ws", "/ingest/ws"}
    documents = [json.loads(text) for language, text in BLOCK.findall(PAGE) if language == "json"]
    assert [isinstance(document, list) for document in documents] == [False, True]


def test_all_parameters_are_described() -> None:
    table = PAGE.split("### Parameters")[1].split("### Responses")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} == KNOWN_PARAMETERS
    streams = PAGE.split("The known parameters are")[1].split(". Others")[0]
    assert set(re.findall(r"`(\w+)`", streams)) == KNOWN_STREAM_PARAMETERS
