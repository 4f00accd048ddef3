"""The demo: an account with recordings, made by `recordings serve --demo`."""
