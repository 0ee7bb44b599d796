"""Whether to believe it: held-out runs, laws compared, residuals, priors, a new law tried out.

It uses decisions and everything below, and refits. It hands on DataFrames and sentences that say
what was found and what it rests on.
"""
