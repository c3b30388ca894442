"""The random layers have every feature as often as is stated."""

import pytest

from bench.random_coverage import CONFIGS, FEATURES, rates
from hqdm.spec import PRESETS


@pytest.mark.parametrize("name", CONFIGS)
def test_every_feature_is_drawn_often_enough(name):
    rare = {feature: rate for feature, rate in rates(PRESETS[name], 1000, seed=2).items()
            if rate < FEATURES[feature][0]}
    assert not rare
