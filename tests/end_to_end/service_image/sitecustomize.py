"""Start of every process of a tested service: it lacks what the service's image lacks.

LightGBM imports scikit-learn where it is installed, which took 1.1 of the 3 s of CPU time of
each start (2026-11-29).
"""

import sys

for name in ("implicit", "jinja2", "matplotlib", "onnx", "optuna", "sklearn"):
    sys.modules[name] = None  # pyright: ignore[reportArgumentType] - that is how an import is made to fail
