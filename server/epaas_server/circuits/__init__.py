"""The circuit library: a fixed set of compiled TFHE circuits that evaluates any model of a profile.

``definitions`` says which circuits there are, ``build`` compiles them (the only user of the compiler, and so of torch),
``library`` finds or makes the compiled library on this machine.
"""
