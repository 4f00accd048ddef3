"""The data types of the domain."""
