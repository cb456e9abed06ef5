"""What an operator sees of a running service: metrics and traces (docs/adr/0017). Logs are of ``epaas_web``.

Nothing that is told here has a payload, a token, or more of a key than the first 12 digits of its digest.
"""
