"""The feed of events over HTTP and on the command line."""
