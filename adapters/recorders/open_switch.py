"""Choose the recorder of a switch by the scheme of its URL."""

from collections.abc import Mapping
from typing import Final

from adapters.recorders.asterisk import AsteriskRecorder
from adapters.recorders.freeswitch import FreeSwitchRecorder
from adapters.recorders.rtpengine import RtpengineRecorder
from adapters.recorders.switch_base import SwitchBase
from adapters.recorders.switch_url import SwitchUrl
from recordings.ports.audio import Spool
from recordings.ports.clock import Clock
from recordings.ports.recorder import SwitchRecorder

_KINDS: Final[Mapping[str, type[SwitchBase]]] = {
    "ari": AsteriskRecorder,
    "aris": AsteriskRecorder,
    "ng": RtpengineRecorder,
    "esl": FreeSwitchRecorder,
}


def open_switch(url: SwitchUrl, *, spool: Spool, clock: Clock, node: str = "") -> SwitchRecorder:
    """Return the recorder of a switch. It does not connect yet. `node` is this server's id."""
    return _KINDS[url.scheme](url, spool=spool, clock=clock, node=node)
