"""Sends a stored recording to the `url` that its caller gave (docs/v2_contract.md, section 7.1). See `UrlCourier`."""

from adapters.delivery.allowed_urls import full_prefixes
from adapters.delivery.url_courier import UrlCourier, delete_copies

__all__ = ["UrlCourier", "delete_copies", "full_prefixes"]
