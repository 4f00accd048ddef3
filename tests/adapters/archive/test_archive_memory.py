"""The memory for an archive does not grow with its size."""

import json
import tracemalloc
from base64 import b64encode
from pathlib import Path

import pytest

from adapters.archive import Document, InlineAudio, read_archive

MIB = 1 << 20


def peak_of(path: Path) -> tuple[int, int]:
    """Read an archive. Return the number of documents, and the peak of the memory in bytes."""
    tracemalloc.start()
    try:
        count = 0
        for _, entry in read_archive(path, path.parent):
            assert isinstance(entry, Document)
            count += 1
            for about in entry.value.get("_attachments", {}).values():
                audio = about["data"]
                assert isinstance(audio, InlineAudio)
                assert sum(map(len, audio.chunks())) == 12 * MIB
                audio.close()
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["on one line", "on lines"])
def test_an_archive_with_many_documents(form: str, tmp_path: Path) -> None:
    documents = [{"_id": str(number), "pvt_type": "call_recording", "text": "x" * 10_000} for number in range(1_000)]
    separator = ", " if form == "on one line" else ",\n"
    path = tmp_path / "export.json"
    path.write_text('{"rows":[' + separator.join(map(json.dumps, documents)) + "]}")
    del documents
    count, peak = peak_of(path)
    assert count == 1_000
    assert peak < 2 * MIB


def test_a_document_with_much_audio_inside(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    attachment = {"content_type": "audio/x-wav", "data": b64encode(bytes(12 * MIB)).decode()}
    path.write_text(json.dumps({"docs": [{"_id": "1", "_attachments": {"1.wav": attachment}}]}))
    del attachment
    count, peak = peak_of(path)
    assert count == 1
    assert peak < 4 * MIB
