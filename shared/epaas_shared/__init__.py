"""The wire contract of EPAAS and what both ends must agree on.

Errors, digests, the binary container, parameter sets, input schemas, the network and its plain reference evaluation,
and the documents of the HTTP interface. Imports the standard library, pydantic and numpy only; knows no secret keys.
"""

__version__ = "0.1.0"
