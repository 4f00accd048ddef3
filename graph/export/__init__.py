"""Exports of recordings as tables: CSV, NDJSON and Parquet, over HTTP and on the command line."""
