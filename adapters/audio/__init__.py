"""Decoding, measuring and converting audio, in worker processes. See `AudioWorkshop` and `Renditions`."""

from adapters.audio.peaks import Waveform
from adapters.audio.renditions import Rendition, Renditions, SourceDamagedError
from adapters.audio.workshop import AudioWorkshop, WorkshopBusyError

__all__ = ["AudioWorkshop", "Rendition", "Renditions", "SourceDamagedError", "Waveform", "WorkshopBusyError"]
