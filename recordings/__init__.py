"""The domain: recordings, the rules for them, and the use cases.

The domain is pure Python: it uses the standard library only, and it does no I/O. It can be tested without a database, a
switch or a network. Adapters implement the interfaces in `recordings.ports`. Interfaces to clients call
`recordings.use_cases`.
"""
