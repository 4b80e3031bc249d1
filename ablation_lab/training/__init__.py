"""Two trainers, one truth: ``single`` fits one run, ``stacked`` many runs as one tensor program.

Comes in: runs and their training data. Goes out: a ``Trained`` for each run. Both go through
``pl.Trainer``; neither ever sees a test set.
"""
