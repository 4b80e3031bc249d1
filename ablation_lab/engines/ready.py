"""All that a worker needs, with one thread: the process imports it from which workers are forked.

Nothing here knows a study. A worker that is forked begins to train at once, where one that is
started fresh imports torch first, for seconds of a core; plug-ins are imported in each worker anew.
"""

from __future__ import annotations

import os
from importlib import import_module

from ablation_lab.engines.worker import environment

# Libraries read it when they are loaded.
os.environ.update(environment(1))
for _name in ("computing", "distributed", "execute", "probe", "single", "stacked", "validate"):
    import_module(f"ablation_lab.training.{_name}")
import_module("torch").set_num_threads(1)
