"""Corruptions of test images after the published benchmarks; importing this package imports no torch."""

from segbench.config.sections.robustness import CORRUPTIONS

NAMES = CORRUPTIONS
"""Every corruption, by family: noise, blur, weather and light, digital, geometric."""

FAMILIES = {
    **dict.fromkeys(NAMES[:4], "noise"),
    **dict.fromkeys(NAMES[4:9], "blur"),
    **dict.fromkeys(NAMES[9:14], "weather"),
    **dict.fromkeys(NAMES[14:16], "digital"),
    **dict.fromkeys(NAMES[16:], "geometric"),
}
"""What kind each corruption is of."""

COLOR_ONLY = frozenset({"snow", "brightness", "saturate", "jpeg_compression"})
"""Those that need three 8-bit channels."""

SEVERITIES = (1, 2, 3, 4, 5)
"""From mild to strong."""
