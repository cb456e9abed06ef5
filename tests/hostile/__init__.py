"""Malformed requests by a seed, thousands of them, and what became of the server that got them."""
