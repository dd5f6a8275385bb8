"""Every float of the settings is finite: the model is walked, so that a new key is covered by itself."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.settings.environment import ENV_PREFIX
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.settings.model import Settings


def _float_keys(section: BaseModel, prefix: str = "") -> Iterator[str]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _float_keys(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            yield prefix + name


KEYS = tuple(_float_keys(Settings()))


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400"])
@pytest.mark.parametrize("key", KEYS)
def test_a_float_that_is_not_finite_is_refused_with_its_key(key: str, text: str) -> None:
    name = ENV_PREFIX + key.upper().replace(".", "__")
    with pytest.raises(ConfigurationError, match=rf"(?s){key}: wanted") as refused:
        load_settings(None, {name: text}, None, {})
    assert name in str(refused.value)
