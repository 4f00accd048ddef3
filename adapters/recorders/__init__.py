"""Whatever carries the audio of calls: one package for each kind of recorder, and the protocols they speak."""
