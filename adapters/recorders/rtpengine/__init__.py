"""rtpengine: a media proxy that records the RTP packets of a call. It is controlled by its ng protocol over HTTP."""

from adapters.recorders.rtpengine.rtpengine_recorder import RtpengineRecorder

__all__ = ["RtpengineRecorder"]
