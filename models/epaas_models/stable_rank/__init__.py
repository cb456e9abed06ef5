"""Stable rank normalisation and spectral normalisation (thesis chapter 4): of matrices and of networks' weights.

:mod:`spectral` finds the greatest singular values and caps them, :mod:`stable_rank` solves the normalisation problem of
a matrix, :mod:`parametrisation` keeps the weights of a network normalised while it trains. Knows no data and no
training.
"""
