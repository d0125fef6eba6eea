"""What every test runs under. The package itself never touches this state; a test process may."""

import os

# scikit-learn's array-API check is skipped unless this is set before scipy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# No window system is assumed.
os.environ.setdefault("MPLBACKEND", "Agg")

import torch
from hypothesis import settings

# One thread: the arrays are small, and the order of a sum does not depend on the machine's cores.
torch.set_num_threads(1)

# Time limits turn a busy machine into a failure; fixed examples make a failure repeatable.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")
