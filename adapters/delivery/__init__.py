"""Sending a stored recording to the `url` that its caller named (contract section 7.1). See `UrlCourier`."""

from adapters.delivery.courier import UrlCourier
from adapters.delivery.places import checked_places

__all__ = ["UrlCourier", "checked_places"]
