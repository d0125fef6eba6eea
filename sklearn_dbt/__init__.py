"""Scikit-learn estimators for noisy multichannel series, on PyTorch cores."""
