"""Training: data sets, binary networks, reports and the export of bundles. The only part that uses torch.

It meets the server in a file, the model bundle, and imports nothing of it.
"""
