"""Figures as scalable vector graphics. Each keeps its numbers: in its marks, and in rows that become a table."""
