"""Lists of recordings: filters, paging, `start_key` and CSV."""
