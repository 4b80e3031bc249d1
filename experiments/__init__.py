"""The half that runs: a declared study comes in, tracked runs in MLflow come out.

The way of the data is one direction: ``spec`` (what a study says) → ``grid`` (its cells and runs)
→ ``plan`` (stacks) → ``engines`` → ``execute`` in a worker (``trainers``, ``lightning_modules``,
``data``) → ``record`` → ``tracking`` (the only writer of MLflow). ``ledger`` keeps the grid in
Optuna: which cells wait, run, are done. Nothing here imports ``analysis``.
"""
