"""Preload of the process that workers are forked from: it imports all that they run, and no more.

Workers share its memory as long as they do not write to it. Garbage collection writes to every
object that it looks at: what was imported is therefore left out of it.
"""

import gc
from importlib import import_module

_ = import_module("app.workers")
_ = gc.collect()
gc.freeze()
