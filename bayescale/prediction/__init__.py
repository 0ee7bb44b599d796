"""What a fit says of other runs: the law's losses, new runs' losses, and how good both turned out.

It uses fits alone and samples nothing anew. It hands on DataArrays over chains and draws, and
proper scores of runs that were not seen.
"""
