"""Archives of CouchDB: read the documents of an export, and find the audio of each document.

`read_archive` reads a file. `audio_of` says where the audio of a document is.
"""

from adapters.archive.archive_reader import Document, Entry, Message, Skipped, Unknown, read_archive
from adapters.archive.attachments import Attachment, audio_of
from adapters.archive.inline_audio import AttachmentError, InlineAudio, close_inline, without_inline

__all__ = [
    "Attachment",
    "AttachmentError",
    "Document",
    "Entry",
    "InlineAudio",
    "Message",
    "Skipped",
    "Unknown",
    "audio_of",
    "close_inline",
    "read_archive",
    "without_inline",
]
