"""Frequency Regularization: weights as a few low-frequency DCT coefficients. `docs/frequency.md` explains it on a page."""
