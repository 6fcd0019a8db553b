"""Structured pruning: whole channels of trained weights go, those of least rank, and what is left is trained on."""
