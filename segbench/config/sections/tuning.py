"""The section ``tuning``: the same search over the recipe for every network."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from pydantic import Field, field_validator, model_validator

from segbench.config.reading.validation_errors import line_error
from segbench.config.sections.training import Section, Train

NOT_TUNED = frozenset(
    {
        *("validate_every", "select", "early_stopping", "keep_weights", "micro_batch", "activation_checkpointing"),
        *("channels_last", "compile", "deterministic"),
    }
)
"""Keys below ``train`` that a tuning cannot vary, because they do not belong to the recipe itself."""


class Tuning(Section):
    """The search: its trials and their length."""

    grid: dict[str, list[Any]] = Field(min_length=1)
    """Dotted keys below ``train`` with lists of values; every network is tried with all combinations."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training split in each trial; by default as many as the recipe."""
    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps of each trial, instead of ``epochs``."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """The seed of all trials; the first of the suite's by default."""

    @field_validator("grid")
    @classmethod
    def _keys_that_can_be_tuned(cls, given: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for key, values in given.items():
            section, _, below = key.partition(".")
            if section != "train" or not below:
                text = "cannot be tuned: only keys below 'train' can, such as train.optimizer.lr"
                raise line_error(cls.__name__, (key,), text, values)
            if below in ("epochs", "steps"):
                text = "cannot be tuned: every trial has the same budget, tuning.epochs or tuning.steps"
                raise line_error(cls.__name__, (key,), text, values)
            if below.partition(".")[0] in NOT_TUNED:
                raise line_error(cls.__name__, (key,), "cannot be tuned: it is the same for all networks", values)
        return given

    @model_validator(mode="after")
    def _one_budget(self) -> Tuning:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give either epochs or steps, or neither for those of the recipe")
        return self


class TuningPoint(NamedTuple):
    """One point of a tuning's grid.

    Attributes:
        values: The values by dotted key.
        train: The recipe with these values.
    """

    values: dict[str, Any]
    train: Train
