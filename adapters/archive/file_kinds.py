"""Recognize files that are not JSON by their first bytes, so that the message can say what to do."""

import re
from typing import Final

_BOM: Final = b"\xef\xbb\xbf"
_TAR_AT: Final = 257
_UNPACK: Final = "unpack it, and import the JSON file in it"
_EXPORT: Final = "export it as JSON: curl -f 'https://COUCHDB/DATABASE/_all_docs?include_docs=true' > export.json"
_STARTS: Final = (
    (b"PK\x03\x04", f"a ZIP file: {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"a zstd file: {_UNPACK}"),
    (b"\xfd7zXZ\0", f"an xz file: {_UNPACK}"),
    (b"BZh", f"a bzip2 file: {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z file: {_UNPACK}"),
    (b"\x1f\x8b", f"a gzip file inside a gzip file: {_UNPACK}"),
    (b"\xff\xfe", "UTF-16 text: convert it to UTF-8, for example with iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "UTF-16 text: convert it to UTF-8, for example with iconv -f UTF-16 -t UTF-8"),
    (b"SQLite format 3\0", f"an SQLite database: {_EXPORT}"),
    (b"%PDF", f"a PDF file: {_EXPORT}"),
    (b"RIFF", "an audio file: it belongs into the folder for --media, beside an export of the documents"),
    (b"ID3", "an audio file: it belongs into the folder for --media, beside an export of the documents"),
)
_TEXTS: Final = (
    (rb"HTTP/\d", "an HTTP response with its header lines: export without the option -i"),
    (rb"<", f"an HTML or XML page, perhaps an error page of a server: {_EXPORT}"),
    (rb"Content-(Type|ID|Length)\s*:|--[\w=-]+\r?\n", f"a MIME file, as couchdb-dump writes: {_EXPORT}"),
    (rb"""["']?_?id["']?[,;\t]|"[^"\n]*"\s*[,;\t]\s*\"""", f"a CSV table: {_EXPORT}"),
)
_COUCH: Final = re.compile(rb"db_header")


def hint_for(head: bytes) -> str | None:
    """Return what a file is and what to do with it, if its first bytes show that it is not JSON."""
    for start, hint in _STARTS:
        if head.startswith(start):
            return f"this is {hint}"
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return f"this is a tar file: {_UNPACK}"
    text = without_byte_order_mark(head).lstrip()
    for pattern, hint in _TEXTS:
        if re.match(pattern, text, re.IGNORECASE):
            return f"this is {hint}"
    if text[:1] not in {b"{", b"["} and (b"\0" in head or _COUCH.search(head)):
        return f"this is a binary file, perhaps a file of CouchDB's data folder: {_EXPORT}"
    return None


def without_byte_order_mark(data: bytes) -> bytes:
    """Return the data without UTF-8's byte order mark, which some programs write first."""
    return data.removeprefix(_BOM)
