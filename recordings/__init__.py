"""The domain: what a recording is and what may happen to it.

Pure Python: the standard library only, no I/O, no framework. Everything here can be read, tested and
trusted without a database, a switch or a network. Adapters implement `recordings.ports`; fronts call
`recordings.use_cases.recordings` and nothing else.
"""
