"""Gaps, margins, norms and sensitivity of a network."""
