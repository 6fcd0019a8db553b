"""What the report says in words, and that it is what its tables say."""

import pandas as pd

from bench.records import Answers
from tests.unit.report.report_kit import PHONE, Stored

VIRTUAL = f"{PHONE} (virtual)"


def test_the_sentences_say_what_the_tables_say(stored: Stored) -> None:
    ratios = stored.table("comparisons", "unet: baseline ÷ variant")
    (row,) = (cells for cells in ratios.cells if (cells[0].text, cells[1].text) == ("fr-factored", VIRTUAL))
    latency, memory, size = row[2:5]
    (sentence,) = (s for s in stored.sections()["answer"].sentences if "fr-factored unet" in s)
    assert f"is {latency.text} faster than baseline [{latency.detail}]" in sentence
    assert f"peaks at {memory.text} less memory and needs {size.text} fewer bytes on {VIRTUAL}" in sentence


def test_a_score_has_its_difference_interval_and_test(judged: Stored) -> None:
    scores = judged.table("comparisons", "unet: scores, variant − baseline")
    (row,) = (cells for cells in scores.cells if (cells[0].text, cells[1].text) == ("fr-auto", VIRTUAL))
    dice = row[scores.header.index("Dice")]
    low, high, p = dice.detail.replace(" to ", ", ").split(", ")
    (sentence,) = (s for s in judged.sections()["answer"].sentences if s.startswith("fr-auto unet is"))
    assert f"at 94.39 % Dice instead of 98.37 % ({dice.text} [{low}, {high}], {p})" in sentence
    assert dice.text == "−3.99 points"


def test_a_difference_that_the_test_does_not_show_is_not_called(judged: Stored) -> None:
    (sentence,) = (s for s in judged.sections()["answer"].sentences if s.startswith("half lenet5"))
    assert sentence.endswith("p = 1.00, not shown to differ).")


def test_a_variant_with_one_tagged_launch_of_five_is_judged_by_the_others(judged: Stored) -> None:
    half = next(
        s
        for s in judged.findings.summaries
        if (s.subject.variant, s.subject.device, s.metric) == ("half", PHONE, "latency")
    )
    assert half.usable
    assert "1 of 5 launches left out: the phone throttles for heat (thermal status 2)" in half.verdict
    assert half.statistics is not None
    assert [one.tagged for one in (*half.statistics.launches, *half.statistics.left_out)] == [False] * 4 + [True]


def test_networks_of_one_task_and_samples_have_their_winners_named(judged: Stored) -> None:
    first = judged.sections()["answer"].sentences[0]
    assert first.startswith(f"Of unet and unet-small on {VIRTUAL}, baseline unet-small is the fastest (")
    assert "takes the least memory (21.0 MB)" in first
    assert "has the best Dice (98.72 %, not clearly ahead of baseline unet)" in first
    assert first.endswith("; fr-auto unet needs the fewest bytes (8,702 B).")


def test_the_best_compressed_variant_is_held_against_its_best_rival(judged: Stored) -> None:
    second = judged.sections()["answer"].sentences[1]
    assert second.startswith(
        "fr-auto unet against baseline unet-small: 21.7× slower (212 ms to 9.79 ms), 9.59× more memory"
    )
    assert second.endswith("56.3× fewer bytes (8,702 B to 490 kB) and Dice 94.39 % to 98.72 %.")


def test_networks_that_were_shown_other_samples_are_no_rivals(judged: Stored) -> None:
    samples = judged.run.samples
    other = samples | {"unet-small": samples["unet-small"].model_copy(update={"source": "other masks"})}
    sentences = judged.but(run=judged.run.model_copy(update={"samples": other})).sections()["answer"].sentences
    assert not any(s.startswith("Of ") for s in sentences)
    assert any(
        s.startswith("baseline unet-small takes") and s.endswith("nothing to compare it with.") for s in sentences
    )


def test_a_figure_that_is_not_usable_wins_nothing(judged: Stored) -> None:
    slow = (judged.frame.model == "unet-small") & (judged.frame["pass"] == "latency")
    tagged = judged.frame.assign(status=judged.frame.status.where(~slow, "tagged"))
    first = judged.but(frame=tagged).sections()["answer"].sentences[0]
    assert "fr-auto unet is the fastest" in first


def test_a_variant_that_answers_otherwise_on_the_phone_is_named(judged: Stored) -> None:
    def worse(trial: str, answers: Answers) -> Answers:
        if f"lenet5/half/{PHONE}" not in trial:
            return answers
        return {**answers, "rank": answers["rank"] + 1}

    answers = {trial: worse(trial, one) for trial, one in judged.answers.items()}
    sentences = judged.but(answers=answers).sections()["answer"].sentences
    assert any(s.startswith(f"half lenet5 has another accuracy on {VIRTUAL} than on the desktop: ") for s in sentences)


def test_everything_virtual_or_untrained_says_so(stored: Stored) -> None:
    for section in stored.sections().values():
        for table in section.tables:
            if section.background:
                continue
            for row in table.rows:
                for cell in row:
                    assert PHONE not in cell or VIRTUAL in cell
            if table.title.startswith("unet"):
                assert "untrained: speed and fidelity only" in table.title
        for sentence in (*section.sentences, *section.details):
            assert PHONE not in sentence or VIRTUAL in sentence


def test_a_variant_with_weights_of_its_own_has_its_dice_beside_an_untrained_baseline(stored: Stored) -> None:
    """As where the FR variants are the ones that come with bench. SYNTHETIC figures."""
    ours = (stored.frame.model == "unet") & (stored.frame.variant != "baseline")
    dice = stored.frame[ours & (stored.frame.metric == "agreement")].assign(metric="dice", value=0.9312)
    artifacts = tuple(
        a.model_copy(update={"trained": True}) if (a.model, a.variant) != ("unet", "baseline") else a
        for a in stored.run.artifacts
    )
    run = stored.run.model_copy(update={"artifacts": artifacts})
    changed = stored.but(run=run, frame=pd.concat([stored.frame, dice]))
    unet = changed.table("results", "unet")
    assert unet.title == "unet (baseline untrained: speed and fidelity only)"
    column = unet.header.index("Dice")
    for row in unet.rows:
        assert row[column] == ("untrained" if row[0] == "baseline" else "93.12 %")
    (sentence,) = (s for s in changed.sections()["answer"].sentences if "fr-factored unet" in s)
    assert "at 93.12 % Dice" in sentence
    assert "instead of" not in sentence


def test_one_variant_alone_is_no_comparison(stored: Stored) -> None:
    one = stored.keep((stored.frame.variant == "baseline") & (stored.frame.model == "lenet5"))
    assert "comparisons" not in one.sections()
    assert one.sections()["answer"].sentences[0].endswith("nothing to compare it with.")


def test_the_ordinary_network_is_compared_with_under_its_own_label(judged: Stored) -> None:
    frame = judged.frame.assign(variant=judged.frame.variant.replace("baseline", "as-shipped"))
    artifacts = tuple(a.model_copy(update={"variant": "as-shipped"}) if a.ordinary else a for a in judged.run.artifacts)
    renamed = judged.but(frame=frame, run=judged.run.model_copy(update={"artifacts": artifacts}))
    assert any("slower than as-shipped" in s for s in renamed.sections()["answer"].sentences)
    assert any("as-shipped ÷ variant" in table.title for table in renamed.tables("comparisons"))
