"""Texts in CSV that a spreadsheet does not run as formulas, with no I/O.

A caller chooses its name, and a spreadsheet would run a cell such as `=HYPERLINK(...)` as a formula. So a text that
could be a formula gets an apostrophe before it (OWASP, "CSV Injection"). Telephone numbers get it, too: without it, a
spreadsheet removes the plus sign and rounds the number.
"""

from typing import Final

_ESCAPE: Final = "'"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The beginnings of a formula. The last four are the full-width forms of the first four."""


def plain_text(text: str) -> str:
    """Return a cell that a spreadsheet does not run as a formula.

    A text that begins with an apostrophe gets another one. So every reader can remove one from each cell that has it.
    """
    if text[:1].isalnum():
        return text
    begins = (text[:1], text.lstrip()[:1])
    return _ESCAPE + text if text and (text[0] == _ESCAPE or any(each in _FORMULA for each in begins)) else text
