"""Measures how reliable a model is, and writes the report (:mod:`epaas_shared.report`) that a bundle carries."""
