"""The recorder of a FreeSWITCH, by its Event Socket."""

from adapters.recorders.freeswitch.freeswitch_recorder import FreeSwitchRecorder

__all__ = ["FreeSwitchRecorder"]
