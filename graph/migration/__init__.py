"""Move the metadata of an installation to the other kind of store, and its audio to another media store."""
