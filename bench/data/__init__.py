"""Inputs for the networks: the user's own, or from packages that are installed. Nothing is downloaded."""

from bench.data.dataset import Dataset, dataset, teaches
from bench.data.readers import READERS, detect
from bench.data.samples import KINDS, SampleSet, packages, samples
from bench.preprocess import Preprocess

__all__ = [
    "KINDS", "READERS", "Dataset", "Preprocess", "SampleSet", "dataset", "detect", "packages", "samples", "teaches",
]  # fmt: skip
