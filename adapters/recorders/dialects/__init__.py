"""The protocols that senders of audio speak: one decoder each, without I/O."""
