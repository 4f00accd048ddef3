"""Recorders, which receive the audio of calls: one package for each kind, and the decoders of their protocols."""
