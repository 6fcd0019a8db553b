"""Weights, and what goes into layers, in 8 bits: quantised after training, for ncnn's integer kernels."""
