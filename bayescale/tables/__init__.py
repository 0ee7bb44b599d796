"""Tables of runs: those that come with the package, and those that people bring.

It knows trackers' headers, units and loss curves, and uses the language. It hands on a DataFrame in
the vocabulary's columns, one row a run.
"""
