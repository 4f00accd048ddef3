"""Where everything that is not audio is kept: one folder for each technology, one contract suite for all."""
