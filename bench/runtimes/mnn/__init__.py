"""MNN, from the engine in its own Python package."""
