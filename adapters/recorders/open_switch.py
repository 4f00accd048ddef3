"""Choose the recorder of a switch by the scheme of its URL."""

from adapters.recorders.switch_base import SwitchBase
from adapters.recorders.switch_url import SwitchUrl
from recordings.ports.audio import Spool
from recordings.ports.clock import Clock
from recordings.ports.recorder import SwitchRecorder


def open_switch(url: SwitchUrl, *, spool: Spool, clock: Clock, node: str = "") -> SwitchRecorder:
    """Return the recorder of a switch. It does not connect yet. `node` is this server's id."""
    return _kind(url.scheme)(url, spool=spool, clock=clock, node=node)


def _kind(scheme: str) -> type[SwitchBase]:
    # Late imports: a server has switches of one kind, or none.
    if scheme == "esl":
        from adapters.recorders.freeswitch import FreeSwitchRecorder

        return FreeSwitchRecorder
    if scheme == "ng":
        from adapters.recorders.rtpengine import RtpengineRecorder

        return RtpengineRecorder
    from adapters.recorders.asterisk import AsteriskRecorder

    return AsteriskRecorder
