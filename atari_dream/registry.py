"""The predictors by name: one name in registry, file, command line, checkpoint and results."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from torch import nn

from atari_dream.errors import UsageError, unknown
from atari_dream.predictor import Domain, Predictor

Model = TypeVar("Model", bound=type[Predictor])

_MODELS: dict[str, type[Predictor]] = {}


def register_model(name: str) -> Callable[[Model], Model]:
    """Registers a predictor class under a name."""

    def register(model: Model) -> Model:
        _MODELS[name] = model
        return model

    return register


def list_models() -> list[str]:
    """Names of all predictors, controls included, in alphabetical order."""
    return sorted(_all_models())


def model_class(name: str) -> type[Predictor]:
    """The class registered under a name.

    Raises:
        UsageError: If there is none.
    """
    models = _all_models()
    if name not in models:
        raise unknown("model", name, sorted(models))
    return models[name]


@overload
def create_model(
    name: str, domain: Domain | None = None, *, reference: Literal[False] = False, **config: Any
) -> Predictor: ...


@overload
def create_model(name: str, *, reference: Literal[True]) -> nn.Module: ...


def create_model(
    name: str, domain: Domain | None = None, *, reference: bool = False, **config: Any
) -> nn.Module:
    """Builds a model with fresh parameters.

    Args:
        name: One of `list_models()`.
        domain: The game it is for; Ms. Pac-Man with a single colour if not given.
        reference: Whether to build the published stack on its own tensor size, not the world model; it takes
            neither a domain nor a configuration.
        config: What the class takes beyond that, such as `channels=64`.

    Raises:
        UsageError: If no predictor has that name, or it was never published in another form.
    """
    if not reference:
        return model_class(name)(domain or Domain(), **config)
    if domain is not None or config:
        raise UsageError(
            f"a reference form is of no game and no other size: create_model({name!r}, reference=True)"
        )
    return model_class(name).reference()


def _all_models() -> dict[str, type[Predictor]]:
    import atari_dream.models  # noqa: F401  (importing it registers them)

    return _MODELS
