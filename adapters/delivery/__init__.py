"""Sending a stored recording to the `url` that its caller named (contract section 7.1). See `UrlCourier`."""

from adapters.delivery.allowed_urls import checked_places
from adapters.delivery.url_courier import UrlCourier

__all__ = ["UrlCourier", "checked_places"]
