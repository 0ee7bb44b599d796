"""How a posterior is sampled: its modes, NUTS on a compiled density, mixtures, importance weights.

It uses a ``Problem`` of the posterior room and knows no tables or files. It hands on draws of the
coordinates and what says whether they are to be trusted.
"""
