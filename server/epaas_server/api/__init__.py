"""The HTTP interface.

Never imports the TFHE runtime: what clients send is checked by its header and left to a child.
"""
