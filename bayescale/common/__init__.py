"""What every room uses and none owns: the one exception, numbers as people write them, whole files.

It knows nothing of runs or laws and uses no other room. It hands on ``InputError``, numbers read
and written, files written whole or not at all, and a line of progress.
"""
