"""Frequency Regularization: weights as a few DCT coefficients. `docs/frequency.md` explains it on a page."""
