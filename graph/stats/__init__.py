"""`GET /stats`: figures as flat rows, for tools that only send GET."""
