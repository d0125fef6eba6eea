"""The engine room: PyTorch modules and functions; imports no scikit-learn and no skorch."""
