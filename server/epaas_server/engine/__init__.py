"""Encrypted evaluation of networks on TFHE ciphertexts.

``levelled`` and ``rerandomise`` are arithmetic on raw ciphertexts, ``transport`` and ``runtime`` the way into the
compiled circuits, ``evaluate`` the layers of a network, ``keyset_cache`` the evaluation keys in memory. ``child`` is
the process that does it all and may be killed, ``local`` its handle in the worker. Nothing here can name a client's
secret key.
"""
