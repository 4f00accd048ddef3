"""Sends stored recordings to their `url` (docs/v2_contract.md, section 7.1), and events to webhooks."""

from adapters.delivery.allowed_urls import full_prefixes
from adapters.delivery.url_courier import UrlCourier, delete_copies
from adapters.delivery.webhook_sender import HttpWebhookSender

__all__ = ["HttpWebhookSender", "UrlCourier", "delete_copies", "full_prefixes"]
