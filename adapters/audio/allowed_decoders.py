"""The decoders that may process received files, each with the reason why it is allowed.

FFmpeg has hundreds of decoders, and every one is code that processes bytes from outside. Only the decoders that
telephone systems, recorders, phones and browsers need are allowed. FFmpeg's own `codec_whitelist` does not apply
to the decoder that PyAV opens. So this service checks the name before it decodes the first packet.
"""

from collections.abc import Mapping
from typing import Final

ALLOWED: Final[Mapping[str, str]] = {
    "aac": "AAC: phones, browsers and meeting tools (m4a, mp4)",
    "aac_latm": "AAC in LATM: the same, in broadcast-style streams",
    "alac": "Apple Lossless: recordings made on Apple devices",
    "amrnb": "AMR narrowband: mobile phones (amr, 3gp)",
    "amrwb": "AMR wideband: the same, in HD",
    "libopencore_amrnb": "AMR narrowband, in builds of FFmpeg with this library",
    "libopencore_amrwb": "AMR wideband, in builds of FFmpeg with this library",
    "flac": "FLAC: archives",
    "g722": "G.722: HD voice of desk phones and Asterisk",
    "g723_1": "G.723.1: older gateways and recorders",
    "g726": "G.726: DECT, older gateways",
    "g726le": "G.726 with the other order of bits",
    "g729": "G.729: the usual compressed codec of SIP trunks; frames are checked by their parity",
    "gsm": "GSM full rate: Asterisk (gsm)",
    "gsm_ms": "GSM in WAV: Asterisk and Windows (wav49)",
    "ilbc": "iLBC: older softphones",
    "opus": "Opus: WebRTC, browsers",
    "libopus": "Opus, in builds of FFmpeg with this library",
    "speex": "Speex: older softphones",
    "libspeex": "Speex, in builds of FFmpeg with this library",
    "vorbis": "Vorbis: FreeSWITCH and browsers (ogg, webm)",
    "adpcm_ima_qt": "IMA ADPCM in QuickTime files",
    "adpcm_ima_wav": "IMA ADPCM in WAV: dictation and voice loggers",
    "adpcm_ms": "Microsoft ADPCM in WAV: voice loggers",
    "adpcm_yamaha": "Yamaha ADPCM in WAV: voice loggers",
    "truespeech": "TrueSpeech in WAV: old Windows recorders",
    "mp1": "MPEG layer 1",
    "mp1float": "MPEG layer 1",
    "mp2": "MPEG layer 2: broadcast recorders",
    "mp2float": "MPEG layer 2: broadcast recorders",
    "mp3": "MP3: Kazoo's own default",
    "mp3float": "MP3: Kazoo's own default",
    "pcm_alaw": "G.711 A-law: telephony",
    "pcm_mulaw": "G.711 mu-law: telephony",
    "pcm_f32be": "samples",
    "pcm_f32le": "samples",
    "pcm_f64be": "samples",
    "pcm_f64le": "samples",
    "pcm_s16be": "samples",
    "pcm_s16le": "samples",
    "pcm_s24be": "samples",
    "pcm_s24le": "samples",
    "pcm_s32be": "samples",
    "pcm_s32le": "samples",
    "pcm_s8": "samples",
    "pcm_u8": "samples",
}
"""FFmpeg's name of a decoder, and why it is allowed."""

WAVE_TAGS: Final[Mapping[int, str]] = {
    0x0011: "adpcm_ima_wav",
    0x0022: "truespeech",
    0x0031: "gsm_ms",
    0x0042: "g723_1",
    0x0083: "g729",
    0x0160: "wmav1",
    0x0161: "wmav2",
    0x0162: "wmapro",
    0x2000: "ac3",
    0xA100: "g723_1",
}
"""Names of formats in WAV files, for messages. Others are shown as a number."""

G729_TAG: Final = 0x0083
G729_FRAME: Final = 10
_LEAST_PARITY: Final = 0.9


def wave_codec(tag: int) -> str:
    """Return the name of a WAVE format tag for a message."""
    return WAVE_TAGS.get(tag, f"0x{tag:04x}")


def is_g729(data: bytes) -> bool:
    """Return true if bytes are G.729 speech.

    Every frame of 10 bytes has a parity bit over the six upper bits of the first pitch delay (ITU-T G.729, 3.7.2). In
    speech it is right in every frame; in other data, in about half of the frames. FFmpeg's decoder accepts any data and
    returns noise.
    """
    frames = len(data) // G729_FRAME
    right = 0
    for at in range(0, frames * G729_FRAME, G729_FRAME):
        bits = int.from_bytes(data[at : at + G729_FRAME], "big")
        # 18 bits of line spectral pairs come first, then the pitch delay (8) and its parity (1).
        delay, parity = bits >> 54 & 0xFF, bits >> 53 & 1
        right += (delay >> 2).bit_count() % 2 != parity
    return frames > 0 and right >= frames * _LEAST_PARITY
