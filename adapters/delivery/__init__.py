"""Sending a stored recording to the `url` that its caller named (contract section 7.1). See `UrlCourier`."""

from adapters.delivery.courier import UrlCourier

__all__ = ["UrlCourier"]
