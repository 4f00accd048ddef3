"""Subscriptions: their execution, and the protocols that stream their results."""
