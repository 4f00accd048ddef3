"""A form with one file (multipart/form-data, RFC 7578), without I/O: bytes in, the bytes of the file out.

The fields before the file are parameters of the upload, like those of the query. Only they and the boundary are in
memory, never the file.
"""

from dataclasses import dataclass
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MAX_FIELDS: Final = 64
MAX_FIELD: Final = 4_096
"""Maximum length (bytes) of the value of a field."""
_ENCODINGS: Final = frozenset({"", "binary", "8bit", "7bit"})


class InvalidForm(Exception):  # noqa: N818 - an expected result
    """The form is damaged, or is not a form with one file. The text says why."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """What the form says about its file. Both values may be empty."""

    name: str
    content_type: str


def boundary_of(content_type: str) -> bytes:
    """Return the boundary in a content type; empty if there is none."""
    return parse_options_header(content_type)[1].get(b"boundary", b"")


class MultipartForm:
    """One form. `file` is set when the file begins, `is_complete` when the form has ended."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: list[tuple[str, str]] = []
        self.late_fields: list[str] = []
        """The names of the fields after the file."""
        self.file: FilePart | None = None
        self.is_complete = False
        self._is_in_file = False
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[str, str] = {}
        self._name = ""
        self._value = bytearray()
        self._output = bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": lambda data, begin, end: self._header[0].extend(data[begin:end]),
                    "on_header_value": lambda data, begin, end: self._header[1].extend(data[begin:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._open_part,
                    "on_part_data": self._add_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end_form,
                },
            )
        except FormParserError as error:
            raise InvalidForm(f"the form is invalid: {error}") from error

    def feed(self, data: bytes) -> bytes:
        """Read the next bytes of the form. Return the bytes of the file in them.

        Raises:
            InvalidForm: it is not a form with one file.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise InvalidForm(f"the form is invalid: {error}") from error
        found = bytes(self._output)
        self._output.clear()
        return found

    def _begin_part(self) -> None:
        self._headers.clear()
        self._value.clear()

    def _end_header(self) -> None:
        name, value = (bytes(each) for each in self._header)
        self._headers[name.decode("latin-1").strip().lower()] = value.decode("utf-8", "replace").strip()
        for each in self._header:
            each.clear()

    def _open_part(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        content_type = self._headers.get("content-type", "")
        self._is_in_file = bool(file_name) or content_type.lower().startswith(("audio/", "video/"))
        if not self._is_in_file:
            return
        if self.file is not None:
            raise InvalidForm("the form has more than one file: send each file in a request of its own")
        encoding = self._headers.get("content-transfer-encoding", "").lower()
        if encoding not in _ENCODINGS:
            raise InvalidForm(f"the file is in {encoding[:32]!r}: send its bytes as they are")
        self.file = FilePart(file_name, content_type)

    def _add_data(self, data: bytes, begin: int, end: int) -> None:
        if self._is_in_file:
            self._output += data[begin:end]
            return
        self._value += data[begin:end]
        if len(self._value) > MAX_FIELD:
            raise InvalidForm(
                f"the field {self._name[:64]!r} has more than {MAX_FIELD} bytes and no file name: to send a file in a "
                "form, use curl -F file=@FILE"
            )

    def _end_part(self) -> None:
        if self._is_in_file:
            self._is_in_file = False
        elif self.file is not None:
            self.late_fields.append(self._name)
        elif self._name:
            self.fields.append((self._name, self._value.decode("utf-8", "replace")))
        if len(self.fields) + len(self.late_fields) > MAX_FIELDS:
            raise InvalidForm(f"the form has more than {MAX_FIELDS} fields")

    def _end_form(self) -> None:
        self.is_complete = True
