"""Which of ncnn's layers treat each channel by itself, in a way that a pass between two small spaces can take in."""

from __future__ import annotations

from bench.export.graph import Layer


def zero(text: str) -> bool:
    return float(text) == 0


def per_channel(layer: Layer) -> bool:
    """A depthwise 1×1 convolution: a factor and a term, perhaps ReLU, for each channel."""
    value = layer.parameters.get
    single = value("1") == "1" and value("11", "1") == "1" and value("3", "1") == "1" and value("4", "0") == "0"
    return single and value("0") == value("7") == value("6") and value("9", "0") in ("0", "1") and value("5") == "1"


def halves(layer: Layer) -> bool:
    """Maximum of 2×2 with stride 2, what is left over at the edges left out."""
    value = layer.parameters.get
    square = (
        value("1") == "2" and value("11", "2") == "2" and value("2", "1") == "2" and value("12", value("2", "1")) == "2"
    )
    return (
        value("0", "0") == "0"
        and square
        and value("3", "0") == "0"
        and value("5", "0") == "1"
        and value("7", "0") == "0"
    )
