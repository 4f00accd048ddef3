"""Split a stream of JSON into documents, without I/O: bytes in, documents out.

The stream may have values one after another (JSON lines, pretty-printed or not), an array of documents, or an object
around such an array, as CouchDB and its tools write them. Memory is bounded: the splitter keeps one document, and moves
long texts (audio inside a document) to a file.

After a broken document, the splitter continues at the next line that begins with a bracket.
"""

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

MAX_DOCUMENT: Final = 8 << 20
"""Maximum bytes of one document without its long texts. CouchDB's own default is 8 000 000."""
LONG_TEXT: Final = 256 << 10
"""A text with more bytes is moved to a file."""
MAX_DEPTH: Final = 200
"""Maximum depth of brackets in one document."""
PLACEHOLDER: Final = "\0long text "
"""A long text is replaced by this and its number. No text of a document can be stored with a NUL."""

_WRAPPERS: Final = frozenset({b'"rows"', b'"docs"', b'"data"', b'"results"'})
"""Keys of the arrays in which CouchDB and the v2 API put documents."""
_DOCUMENT_KEYS: Final = frozenset({b'"_id"', b'"id"', b'"pvt_type"', b'"call_id"', b'"media_source"'})
"""An object with one of these keys is a document, even if it has an array with the name of a wrapper later."""
_MORE: Final = b'"next_start_key"'
_TEXT: Final = rb'(?:[^"\\\x00-\x1f]++|\\[^\x00-\x1f])*+'
_TOKEN: Final = re.compile(rb'"' + _TEXT + rb'"|["{}\[\]\n]')
_TEXT_PART: Final = re.compile(_TEXT)
_AFTER_KEY: Final = re.compile(rb"\s*+(:?)\s*+(.?)", re.DOTALL)
_SPACE: Final = re.compile(rb"[\s,]*+")
_SCALAR: Final = re.compile(rb'"' + _TEXT + rb'"|[^\s,\[\]{}"]++|"')
_NEXT: Final = re.compile(rb"\n(?=[{\[\]])")
_OPENING: Final = {ord("}"): ord("{"), ord("]"): ord("[")}
_QUOTE, _NEWLINE = ord('"'), ord("\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """The text of one document, and the line on which it begins. Its long texts are in files, by number."""

    line: int
    text: bytes
    long_texts: tuple[BinaryIO, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """A part of the stream that is no document, with the line on which it begins."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the operator should know. It is not an error."""

    line: int
    text: str


Found = Piece | Fault | Note
Scan = Generator[Found, None, bool]
"""Yields documents, faults and notes. Returns false if the scan needs more bytes."""


class JsonSplitter:
    """Splits one stream. `open_file` makes an empty file for a long text; the caller closes it."""

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        self._open_file = open_file
        self._data = b""
        self._at = 0
        self._line = 1
        """The line of the first byte in `_data`. If a document is open, this byte is the document's first one."""
        self._brackets = bytearray()
        """The open brackets of the open document. Empty between documents."""
        self._may_wrap = False
        """Whether the open document may be an object around an array of documents."""
        self._skipped: str | None = None
        """Why the text of the open document is not kept; `None` if it is kept."""
        self._array_line: int | None = None
        """The line of the open array of documents, and whether an object is around it."""
        self._is_wrapped = False
        self._long_texts: list[BinaryIO] = []
        self._long_text: BinaryIO | None = None
        self._seeks = False
        """Whether the rest of a broken document is skipped."""
        self._garbage = False
        """Whether the rest of a line is skipped."""
        self._ended = False

    def feed(self, data: bytes) -> Iterator[Found]:
        """Add bytes. Yield the documents that are complete now."""
        self._data += data
        yield from self._run()

    def finish(self) -> Iterator[Found]:
        """Yield the rest, at the end of the stream."""
        self._ended = True
        yield from self._run()
        if self._array_line is not None:
            yield Fault(self._array_line, "the file ends inside this array, so documents may be missing: export again")

    def _run(self) -> Iterator[Found]:
        continues = True
        while continues:
            if self._seeks:
                continues = self._seek()
            elif self._garbage:
                continues = self._skip_line()
            elif self._brackets:
                continues = yield from self._scan_document()
            else:
                continues = yield from self._scan_between()

    # Between documents

    def _scan_between(self) -> Scan:
        """Scan up to the start of the next document. Return false if more bytes are needed."""
        space = _SPACE.match(self._data)
        self._drop(space.end() if space else 0)
        if not self._data:
            return False
        first = self._data[0]
        if first in b"{[":
            if first == ord("[") and self._array_line is None:
                self._array_line, self._is_wrapped = self._line, False
                self._drop(1)
                return True
            self._brackets.append(first)
            self._at, self._may_wrap, self._skipped = 1, first == ord("{") and self._array_line is None, None
            return True
        if first in b"]}":
            if first == ord("]") and self._array_line is not None:
                self._end_array()
            else:
                yield Fault(self._line, f"{chr(first)!r} closes nothing: the start of the export is missing")
                self._drop(1)
            return True
        return (yield from self._scan_scalar())

    def _scan_scalar(self) -> Scan:
        """Scan a value that is no object and no array, or bytes that are not JSON."""
        found = _SCALAR.match(self._data)
        end = found.end() if found else 1
        is_cut = end == len(self._data) or found is None or found[0] == b'"'
        if is_cut and not self._ended and len(self._data) <= LONG_TEXT:
            return False
        text = self._data[: min(end, 40)].decode(errors="replace")
        yield Fault(self._line, f"not a JSON object: {text!r}")
        # In an array, the next value may be a document. Otherwise it is a line of another kind.
        if self._array_line is None or is_cut:
            self._garbage = True
        else:
            self._drop(end)
        return True

    def _end_array(self) -> None:
        self._array_line = None
        self._drop(1)
        if self._is_wrapped:
            # The rest of the object around the array.
            self._brackets.append(ord("{"))
            self._at, self._may_wrap, self._skipped = 0, True, ""

    # In a document

    def _scan_document(self) -> Scan:  # noqa: PLR0911 - one loop over tokens
        """Scan the open document up to its end. Return false if more bytes are needed."""
        if self._long_text is not None and not (yield from self._continue_long_text(self._long_text)):
            return self._seeks
        for token in _TOKEN.finditer(self._data, self._at):
            start, end = token.span()
            self._at = end
            if self._data[start] == _QUOTE:
                if end == start + 1:
                    return (yield from self._read_cut_text(start))
                if self._may_wrap and len(self._brackets) == 1 and not (yield from self._read_key(start, end)):
                    return self._array_line is not None
            elif self._data[start] == _NEWLINE and end == len(self._data) and not self._ended:
                # The next byte decides whether the document continues.
                self._at = start
                break
            elif (problem := self._bracket_problem(self._data[start], end)) is not None:
                yield from self._recover(problem)
                return True
            elif not self._brackets:
                yield from self._end_document(end)
                return True
        else:
            self._at = len(self._data)
        if self._ended:
            yield from self._recover("the file ends inside it")
            return True
        yield from self._check_size()
        return False

    def _bracket_problem(self, token: int, end: int) -> str | None:
        """Note a bracket or the end of a line. Return the problem with it, if there is one."""
        if token == _NEWLINE:
            return "it is incomplete: the next line begins another document" if self._next_begins(end) else None
        if token in b"{[":
            self._brackets.append(token)
            return f"it has more than {MAX_DEPTH} open brackets" if len(self._brackets) > MAX_DEPTH else None
        return None if self._brackets.pop() == _OPENING[token] else f"{chr(token)!r} closes another bracket"

    def _next_begins(self, at: int) -> bool:
        """Return true if a line begins with a bracket that cannot continue the open document."""
        if self._data[at : at + 1] not in {b"{", b"["}:
            return False
        before = self._data[max(0, at - 64) : at].rstrip()[-1:]
        is_array = self._brackets[-1] == ord("[")
        return not (before == b"[" or (before == b"," and is_array) or (before == b":" and not is_array))

    def _read_key(self, start: int, end: int) -> Scan:
        """Read a text at the first level. Return false if scanning must stop: for more bytes, or in an array."""
        after = _AFTER_KEY.match(self._data, end)
        if after is None or (not after[2] and not self._ended):
            self._at = start
            yield from self._check_size()
            return False
        if not after[1]:
            return True
        key = self._data[start:end]
        if key in _WRAPPERS and after[2] == b"[":
            at = after.end() - 1
            self._array_line, self._is_wrapped = self._line + self._data.count(b"\n", 0, at), True
            self._brackets.clear()
            self._drop(at + 1)
            return False
        if key == _MORE:
            text = "the export is one page of a list, and more pages follow: export with paginate=false"
            yield Note(self._line + self._data.count(b"\n", 0, start), text)
        elif key in _DOCUMENT_KEYS and self._skipped is None:
            self._may_wrap = False
        return True

    def _end_document(self, end: int) -> Iterator[Found]:
        long_texts, self._long_texts = tuple(self._long_texts), []
        if self._skipped is None and end <= MAX_DOCUMENT:
            yield Piece(self._line, self._data[:end], long_texts)
        else:
            if self._skipped is None:
                yield _too_long(self._line)
            _close(long_texts)
        self._drop(end)

    def _check_size(self) -> Iterator[Found]:
        """Forget the text of a document that is too long, or is skipped."""
        if self._skipped is None and len(self._data) > MAX_DOCUMENT + LONG_TEXT:
            yield _too_long(self._line)
            self._skipped = "long"
        if self._skipped is not None:
            # A newline may stay at the end, and what precedes it.
            kept = max(0, self._at - 64)
            at = self._at - kept
            self._drop(kept)
            self._at = at

    # Long texts

    def _read_cut_text(self, start: int) -> Scan:
        """Read a text whose end is not in the data."""
        found = _TEXT_PART.match(self._data, start + 1)
        end = found.end() if found else start + 1
        if not self._is_at_end(end):
            yield from self._recover("a text in it has no end")
            return True
        if end - start <= LONG_TEXT:
            self._at = start
            yield from self._check_size()
            return False
        self._long_text = self._open_file()
        self._long_text.write(self._data[start + 1 : end])
        if self._skipped is None:
            self._long_texts.append(self._long_text)
        placeholder = f"\\u0000{PLACEHOLDER[1:]}{len(self._long_texts) - 1}".encode()
        self._data = self._data[: start + 1] + placeholder + self._data[end:]
        self._at = start + 1 + len(placeholder)
        return False

    def _continue_long_text(self, file: BinaryIO) -> Scan:
        """Move the next bytes of a long text to its file. Return true if the text is complete."""
        found = _TEXT_PART.match(self._data, self._at)
        end = found.end() if found else self._at
        file.write(self._data[self._at : end])
        self._data = self._data[: self._at] + self._data[end:]
        if self._data[self._at : self._at + 1] == b'"':
            if self._skipped is not None:
                file.close()
            self._long_text = None
            self._at += 1
            return True
        if not self._is_at_end(self._at):
            self._long_text = None
            yield from self._recover("a text in it has no end")
        return False

    def _is_at_end(self, at: int) -> bool:
        """Return true if all bytes from here on may belong to a text that continues: there are none, or an escape."""
        return not self._ended and (at == len(self._data) or self._data[at:] == b"\\")

    # After errors

    def _recover(self, problem: str) -> Iterator[Found]:
        """Report the open document as broken, and skip the rest of it."""
        if self._skipped is None:
            yield Fault(self._line, f"not a complete JSON document: {problem}")
        if self._array_line == self._line:
            # The line is broken as a whole, so its array does not go on in the next lines.
            self._array_line = None
        self._brackets.clear()
        _close(self._long_texts)
        self._long_texts = []
        self._skipped, self._seeks, self._at = None, True, 0

    def _seek(self) -> bool:
        found = _NEXT.search(self._data)
        if found:
            self._drop(found.end())
            self._seeks = False
            return True
        self._drop(len(self._data) - (0 if self._ended else 1))
        if self._ended:
            self._seeks = False
        return False

    def _skip_line(self) -> bool:
        end = self._data.find(b"\n")
        if end < 0:
            self._drop(len(self._data))
            return False
        self._drop(end)
        self._garbage = False
        return True

    def _drop(self, count: int) -> None:
        if count > 0:
            self._line += self._data.count(b"\n", 0, count)
            self._data = self._data[count:]
        self._at = 0


def _too_long(line: int) -> Fault:
    return Fault(line, f"longer than {MAX_DOCUMENT} bytes without its long texts")


def _close(files: "tuple[BinaryIO, ...] | list[BinaryIO]") -> None:
    for file in files:
        file.close()
