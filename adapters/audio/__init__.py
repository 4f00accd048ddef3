"""Decode, measure and convert audio in worker processes. See `AudioWorkers` and `Renditions`."""

from adapters.audio.audio_workers import AudioWorkers, AudioWorkersBusyError
from adapters.audio.peaks import Waveform
from adapters.audio.renditions import Rendition, Renditions, RenditionTooLargeError, SourceDamagedError

__all__ = [
    "AudioWorkers",
    "AudioWorkersBusyError",
    "Rendition",
    "RenditionTooLargeError",
    "Renditions",
    "SourceDamagedError",
    "Waveform",
]
