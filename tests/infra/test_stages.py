"""A stage that could not be deployed is refused before anything is synthesized."""

import pytest

from infra.stages import STAGES, Stage

GOOD = {"name": "dev", "regions": ("us-east-1",), "base_models": ("nova-micro",)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Dev"}, "lower-case"),
        ({"name": "d" * 21}, "1 to 20"),
        ({"account": "12"}, "twelve digits"),
        ({"regions": ()}, "at least one"),
        ({"regions": ("us_east_1",)}, "is no region"),
        ({"base_models": ("gpt-4o",)}, "not in the catalog: use nova-micro"),
        ({"base_models": ("llama-3-1-8b",)}, "tuned in us-west-2 only"),
        ({"data_prefix": "/x/"}, "data_prefix"),
    ],
)
def test_a_mistake_is_named_with_what_would_work(changes, words):
    with pytest.raises(ValueError, match=words):
        Stage(**GOOD | changes)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(ValueError, match=r"name: .*; account '1': .*; regions: "):
        Stage(name="X", account="1", regions=(), base_models=())


def test_the_example_stage_allows_everything_that_bedrock_tunes_today():
    from datetime import date

    from tunestack import catalog

    today = {model.key for model in catalog.tunable(on=date(2026, 11, 22), provider="bedrock")}
    assert today == set(STAGES["dev"].base_models)
