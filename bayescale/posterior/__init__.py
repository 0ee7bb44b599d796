"""What is sampled: the log posterior of a law given runs, stated once for numbers and for symbols.

It knows noise, discrepancy, groups and the coordinates to move in, and uses the language.
It hands on a ``Problem``: data, coordinates and their log density.
"""
