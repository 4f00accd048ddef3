"""The webhooks of the v2 API: their documents, attempts, catalogue and samples."""
