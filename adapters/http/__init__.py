"""What fronts that speak HTTP share: the rules for ranges, conditions and names, and the response that plays audio.

Pure protocol in `ranges`, `conditions` and `naming`; Starlette in `playing` alone.
"""

from adapters.http.audio_response import play, refuse

__all__ = ["play", "refuse"]
