"""The running server: uvicorn, logs, health checks and background work."""
