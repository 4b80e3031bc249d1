"""Two trainers, one truth: ``single`` fits one run, ``stacked`` many runs as one tensor program.

Comes in: runs and their training data. Goes out: a ``Trained`` for each run. Both go through
``pl.Trainer``; neither ever sees a test set.
"""

import logging

# Libraries of metrics import it, and where its first look at fonts takes long it would say so
# beside the one line of an error.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
