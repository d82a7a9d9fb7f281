"""Checks before training that a run's checkpoint matches its network."""

from __future__ import annotations

from segbench.config.plan import Run
from segbench.data.base import DatasetInfo
from segbench.data.open import create_dataset
from segbench.errors import DataError, ModelRefusal, SuiteError, UsageError
from segbench.models.build import check_weights
from segbench.models.weights.classes_map import for_classes
from segbench.models.weights.foreign_states import read_contents


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
