"""One v2 request: its credentials, checks, parameters, response envelope and errors."""
