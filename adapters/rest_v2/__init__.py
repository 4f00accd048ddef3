"""The Kazoo v2 REST API: its paths, its documents and its time. Nothing of them is known above or below."""
