"""The rules of the domain: which changes are permitted, and their results."""
