"""What to train: plans that a budget can buy, the best of every draw, and the one to train.

It uses predictions and cost models. It hands on Datasets over draws and budgets: optima, plans with
their regret, rivals compared, the run that would teach most.
"""
