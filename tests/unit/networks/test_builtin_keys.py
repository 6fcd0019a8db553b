"""What is cached of a network is its own."""

from __future__ import annotations

from bench import networks
from bench.cache import content_key


def test_two_networks_that_come_with_bench_never_share_a_key() -> None:
    """LeNet-300-100 took LeNet-5's finished files, and its figures: both see the same digits."""
    names = ("lenet5", "lenet300", "resnet18", "resnet34", "vgg16")
    keys = {content_key(*networks.resolve(name).sources) for name in names}
    assert len(keys) == len(names)
