"""Playing recordings over HTTP at `/media`, in stored and converted formats."""
