"""Delivery of a stored recording to its `url` (`docs/v2_contract.md`, section 7.1). See `UrlCourier`."""

from adapters.delivery.allowed_urls import checked_places
from adapters.delivery.url_courier import UrlCourier

__all__ = ["UrlCourier", "checked_places"]
