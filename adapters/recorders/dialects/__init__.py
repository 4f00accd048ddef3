"""The protocols of the systems that send audio: one decoder for each, without I/O."""
