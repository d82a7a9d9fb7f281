"""What was found out about a network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkCheck:
    """What was found out about a network; None where it was not looked at, or could not be.

    Attributes:
        label: What the network is called.
        problems: What is wrong with it, each with the part of the check it showed in; empty when nothing is.
        notes: What is unusual with it and no problem.
        seconds: How long the check took.
        training_size: Height and width of an image in a training step.
        test_size: Height and width of an image in inference.
        batch_size: Images in a training step.
        evaluation_batch_size: Images in a forward pass of the evaluation.
        precision: The recipe's.
        training_step_ms: Median time of a training step by the recipe.
        training_images_per_second: The batch size over that time.
        training_peak_bytes: Peak memory of those steps: allocated on CUDA, elsewhere the process's peak resident set.
        inference_ms: Median time of a forward pass of one image, as the evaluation makes it.
        evaluation_batch_ms: The same for a batch of the evaluation.
        inference_peak_bytes: Peak memory of those passes; on CUDA alone.
        reference_precision: What fp32 was compared with, on the CPU.
        logits_relative_error: Of fp32 logits.
        gradients_relative_error: Of all fp32 gradients together.
        precision_logits_relative_error: Of logits in the recipe's precision, against fp32.
        same_bits: Whether two short trainings under deterministic algorithms left the same bits.
        nondeterministic_operator: The operator that refuses deterministic algorithms.
    """

    label: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float | None = None
    training_size: tuple[int, int] | None = None
    test_size: tuple[int, int] | None = None
    batch_size: int | None = None
    evaluation_batch_size: int | None = None
    precision: str | None = None
    training_step_ms: float | None = None
    training_images_per_second: float | None = None
    training_peak_bytes: int | None = None
    inference_ms: float | None = None
    evaluation_batch_ms: float | None = None
    inference_peak_bytes: int | None = None
    reference_precision: str | None = None
    logits_relative_error: float | None = None
    gradients_relative_error: float | None = None
    precision_logits_relative_error: float | None = None
    same_bits: bool | None = None
    nondeterministic_operator: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems
