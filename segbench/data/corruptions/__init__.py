"""Corruptions of test images after the published benchmarks; importing this package imports no torch."""

from segbench.config.sections.robustness import CORRUPTIONS

NAMES = CORRUPTIONS
"""Every corruption, by family: noise, blur, weather and light, digital, geometric."""

COLOR_ONLY = frozenset({"snow", "brightness", "saturate", "jpeg_compression"})
"""Those that need three 8-bit channels."""

SEVERITIES = (1, 2, 3, 4, 5)
"""From mild to strong."""
