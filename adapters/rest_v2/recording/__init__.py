"""One recording: its document and its audio, and recording of live calls."""
