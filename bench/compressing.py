"""From the name of a network and a folder of data to what a method of compression works with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.cache import Cache, content_key
from bench.compress.learner import Data, Learner, Stage
from bench.errors import UsageError
from bench.networks import Network, resolve


def learner(reference: str, weights: Path | None, folder: Path | None, cache: Cache, stage: Stage) -> Learner:
    """The network that `reference` names, with the weights and the data in `folder` where they are given; without a
    folder, with the data that bench has.

    Raises what `networks.resolve` raises, UsageError (data that does not suit) and CorruptData (data).
    """
    network = resolve(reference, weights=weights)
    return Learner(network, cache, stage, _data(network, folder, stage))


def _data(network: Network, folder: Path | None, stage: Stage) -> Data | None:
    """What the network learns from; None where neither the user nor bench has any."""
    from bench.compress.training import Images

    if folder is not None:
        from bench import data

        stage(f"read {folder}")
        found = data.load(folder)
        if (found.task, found.train.shape) != (network.task, network.shape):
            raise UsageError(
                f"{folder} is for {found.task} of {'×'.join(map(str, found.train.shape))} values, and {network.name} "
                f"does {network.task} of {'×'.join(map(str, network.shape))}",
                "Name a folder with data for this network.",
            )
        first = found.train.read(np.arange(min(16, len(found.train))))
        key = content_key(found.name, str(len(found.train)), *(np.ascontiguousarray(part).tobytes() for part in first))
        return Data(found.train, found.test, found.source, key)
    if network.data == "vehicles":
        from bench.data import vehicles

        return Data(vehicles.to_train_on(), vehicles.to_test_on(), "200 drawn vehicles at 96×144", "vehicles")
    if network.data != "digits" or network.task != "classification":
        return None
    from bench.data import digits

    stage("read the digits")
    own = digits.load()
    train, test = Images(own.train_inputs, own.train_labels), Images(own.test_inputs, own.test_labels)
    return Data(train, test, digits.SOURCE, "digits")
