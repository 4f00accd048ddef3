"""The words of the Kazoo v2 REST API: its documents and its time. Nothing of them is known above or below."""
