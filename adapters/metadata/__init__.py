"""Stores for everything except audio: one folder for each technology. One contract test suite covers all of them."""
