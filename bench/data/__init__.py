"""Inputs for the networks: the user's own, or from packages that are installed. Nothing is downloaded."""

from bench.data.dataset import Dataset, dataset
from bench.data.preprocess import Preprocess
from bench.data.readers import READERS, detect
from bench.data.readers.folder import fingerprint
from bench.data.samples import KINDS, SampleSet, samples

__all__ = ["KINDS", "READERS", "Dataset", "Preprocess", "SampleSet", "dataset", "detect", "fingerprint", "samples"]
