"""The interfaces that the domain needs. Adapters implement them; one contract suite tests every adapter."""
