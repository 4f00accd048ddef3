"""Decoding, measuring and converting audio, in worker processes. See `AudioWorkshop`."""

from adapters.audio.workshop import AudioWorkshop, WorkshopBusyError

__all__ = ["AudioWorkshop", "WorkshopBusyError"]
