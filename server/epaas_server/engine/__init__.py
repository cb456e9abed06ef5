"""Encrypted evaluation of networks on TFHE ciphertexts.

``levelled`` and ``rerandomise`` are arithmetic on raw ciphertexts, ``transport`` and ``runtime`` the way into the
compiled circuits, ``evaluate`` the layers of a network, ``keys`` and ``keyset_cache`` the evaluation keys on their way
and in memory. What evaluates is an ``engine``: the ``machine`` that it runs on, or a ``cluster`` of them. ``child`` is
the process that does tasks by it (``evaluator``) and may be killed, ``local`` its handle in the worker. Nothing here
can name a client's secret key.
"""
