"""The Kazoo v2 REST API (`docs/v2_contract.md`): its paths, its documents and its time unit."""
