"""Preload of the process that workers are forked from: it imports all that they run, and no more.

Workers share its memory as long as they do not write to it. Garbage collection writes to every
object that it looks at: what was imported is therefore left out of it.
"""

import gc

import app.workers  # noqa: F401 - imported for the workers that are forked from here

gc.collect()
gc.freeze()
