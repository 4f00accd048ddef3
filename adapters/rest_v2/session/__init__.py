"""Sign-in, tokens, accounts and users."""
