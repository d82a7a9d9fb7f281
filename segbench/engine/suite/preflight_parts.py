"""Checks parts of a suite that concern all runs: parameter groups over all networks, and its own metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from torch import nn

from segbench.config.component import MetricEntry, ModelEntry
from segbench.config.plan import Run, variants
from segbench.config.suite import Suite
from segbench.data.base import DatasetInfo
from segbench.data.open import create_dataset
from segbench.engine.training.optim.parameter_groups import GroupShare, shares, trainable_parameters
from segbench.errors import DataError, ModelRefusal, SuiteError, UsageError
from segbench.metrics.foreign import as_metric
from segbench.models.build import check_weights
from segbench.models.skeleton import skeleton_if_possible
from segbench.models.weights.classes_map import for_classes
from segbench.models.weights.foreign_states import read_contents
from segbench.registry import METRICS

_SHOWN_PARTS = 8


def check_groups(suite: Suite, *, classes: int, channels: int = 3) -> list[str]:
    """Match each parameter group with each network, for all values of the grid and of a tuning.

    Args:
        suite: The suite.
        classes: Number of classes.
        channels: Channels of the images.

    Returns:
        A description of each group in one line.

    Raises:
        SuiteError: A group matches no parameter of any network.
    """
    found: dict[str, None] = {}
    for _, variant in variants(suite):
        for train in variant.recipes:
            for index, group in enumerate(train.optimizer.groups or ()):
                networks = [skeleton_if_possible(model, classes=classes, channels=channels) for model in variant.models]
                taken = [None if network is None else shares([group], network)[0] for network in networks]
                if not any(share is None or share.tensors for share in taken):
                    parts = "; ".join(map(_parts_in_words, variant.models, networks))
                    raise SuiteError(
                        f"no parameter of any network is called {group.title}; their names begin so: {parts}",
                        key=f"train.optimizer.groups[{index}].parameters",
                    )
                frozen = " (frozen)" if group.freezes else ""
                found[f"parameter group {group.title}{frozen}: {_in_words(variant.models, taken)}"] = None
    return list(found)


def check_metrics(entries: Iterable[MetricEntry], *, classes: int) -> None:
    """Try a suite's own metrics on a matrix of the right size.

    Raises:
        SuiteError: A metric cannot be imported, fails, or does not return numbers.
    """
    counts = np.random.default_rng(0).integers(1, 100, (classes, classes))
    for index, entry in enumerate(entries):
        try:
            as_metric(entry.name, METRICS.create(entry.name, **entry.options))(counts)
        except UsageError as error:
            raise SuiteError(str(error), key=f"metrics[{index}]") from error


def _parts_in_words(model: ModelEntry, network: nn.Module | None) -> str:
    """Return the prefixes of a network's parameter names."""
    names = trainable_parameters(network) if network is not None else {}
    beginnings = list(dict.fromkeys(name.partition(".")[0] for name in names))
    more = ", …" if len(beginnings) > _SHOWN_PARTS else ""
    return f"{model.label} {', '.join(beginnings[:_SHOWN_PARTS])}{more}"


def _in_words(models: Sequence[ModelEntry], taken: Sequence[GroupShare | None]) -> str:
    shown = ("not known before its run" if share is None else str(share) for share in taken)
    return "; ".join(f"{model.label} {words}" for model, words in zip(models, shown, strict=True))


def check_checkpoint(run: Run) -> str:
    """Compare the tensor names and shapes of a run's checkpoint with those of its network.

    Returns:
        Why it cannot be compared (the data is missing, or the network cannot be built); else empty.

    Raises:
        SuiteError: The file cannot be read or does not match; names the model.
    """
    assert run.model.weights is not None
    try:
        read_contents(run.model.weights, shapes_only=True).check_not_empty()
        info = _info_of(run)
        check_weights(for_classes(run.model, info.classes), classes=len(info.classes), channels=info.channels)
    except DataError as error:
        return str(error).splitlines()[0]
    except ModelRefusal as error:
        return str(error)
    except UsageError as error:
        raise SuiteError(str(error), key=f"models ({run.model.label})") from None
    except Exception as error:  # an external network; errors will show in its run
        return f"the network cannot be built: {type(error).__name__}: {error}"
    return ""


def _info_of(run: Run) -> DatasetInfo:
    """Return facts about the data set without reading its images.

    Raises:
        DataError: The data is missing.
    """
    return create_dataset(run.recipe.dataset, run.recipe.dataset.test_split).info
