"""From runs to a ``Fit``: posterior draws beside their runs, diagnosed, saved, loaded, repeated.

It uses sampling, the posterior and the laws. It hands on a ``Fit``: a law and its DataTree, which
is all that later rooms ask for.
"""
