"""Shims for servers that hide the client's certificate; each is imported by its own name."""
