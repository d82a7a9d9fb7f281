"""The results of a network's check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkCheck:
    """The results of a network's check; fields are None if not checked.

    Attributes:
        label: The network's label.
        problems: Problems, each with its part of the check; empty if there are none.
        notes: Unusual properties that are no problems.
        seconds: Duration of the check.
        training_size: Height and width of an image in a training step.
        test_size: Height and width of an image in inference.
        batch_size: Images per training step.
        evaluation_batch_size: Images per forward pass of the evaluation.
        precision: The recipe's precision.
        training_step_ms: Median time of a training step of the recipe.
        training_images_per_second: Throughput: the batch size divided by that time.
        training_peak_bytes: Peak memory of these steps: allocated memory on CUDA, elsewhere the process's peak resident
            set.
        inference_ms: Median time of the evaluation's forward pass of one image.
        evaluation_batch_ms: The same for a batch of the evaluation.
        inference_peak_bytes: Peak memory of these passes; only on CUDA.
        reference_precision: Precision of the reference on the CPU that fp32 was compared with.
        logits_relative_error: Relative error of fp32 logits.
        gradients_relative_error: Relative error of all fp32 gradients together.
        precision_logits_relative_error: Relative error of logits in the recipe's precision, compared with fp32.
        same_bits: Whether two short trainings with deterministic algorithms gave bit-identical weights.
        nondeterministic_operator: The operator without a deterministic algorithm.
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
        """Whether there are no problems."""
        return not self.problems
