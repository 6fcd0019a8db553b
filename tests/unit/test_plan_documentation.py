"""What docs/plans.md shows is understood, and the defaults that it gives are the real ones."""

import re
from pathlib import Path

from bench import plan

PAGE = Path(__file__).parents[2] / "docs" / "plans.md"
MINIMAL, EVERY_KEY, VARIANTS, METHODS = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_every_plan_shown_is_understood() -> None:
    assert plan.parse(MINIMAL, "docs/plans.md").cases[0].label == "lenet5"
    (case,) = plan.parse(MINIMAL + VARIANTS, "docs/plans.md").cases
    assert [variant.label for variant in case.variants or ()] == ["fr-20x", "fr-auto@layers"]
    (case,) = plan.parse('name = "mine"\n' + METHODS, "docs/plans.md").cases
    assert case.methods == ("all", "prune,int8")


def test_the_page_shows_every_key() -> None:
    shown = set(re.findall(r"(?:^(?:# )?|`)(\w+) = ", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    for table in (plan.Plan, plan.Protocol, plan.Case, plan.Variant, plan.Effort, plan.Data):
        wanted = set(table.model_fields) - {"cases", "protocol", "data", "preprocess", "effort"}
        assert wanted <= shown, table


def test_the_protocol_shown_is_the_default() -> None:
    assert plan.parse(EVERY_KEY, "docs/plans.md").protocol == plan.Protocol()
