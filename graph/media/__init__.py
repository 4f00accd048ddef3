"""Play recordings over HTTP at `/media`, in their stored format or converted."""
