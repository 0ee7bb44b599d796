"""What laws are written with: one function, priors as its defaults, inputs from a vocabulary.

It uses only ``common``. It hands on ``Law`` with its coefficients' priors, functions that work on
every kind of number, and what is known of each input: unit, range, what it is derived from.
"""
