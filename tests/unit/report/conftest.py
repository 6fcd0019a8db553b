import pytest

from tests.unit.report.report_kit import Stored


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """LeNet-5 and UNet, of schema 1: no answers, an untrained UNet, failed and tagged trials."""
    return Stored.read("synthetic-run", tmp_path_factory.mktemp("stored"))


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """LeNet-5, UNet and a small UNet, of schema 2: with the answers to labelled samples."""
    return Stored.read("synthetic-run-2", tmp_path_factory.mktemp("judged"))
