"""Which packages runtimes and formats need, and which extra of segbench installs them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from segbench.errors import UsageError
from segbench.results.environment import package_version

_ONNX = ("onnx", "onnxscript")

NEEDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "onnx": ("onnx", (*_ONNX, "onnxruntime")),
    "onnxruntime": ("onnx", (*_ONNX, "onnxruntime")),
    "openvino": ("openvino", (*_ONNX, "onnxruntime", "openvino", "nncf")),
    "torchao": ("torchao", ("torchao",)),
    "tensorrt": ("onnx", (*_ONNX, "onnxruntime", "tensorrt")),
    "pruning": ("pruning", ("torch_pruning",)),
}
"""By what needs them: the extra, and the modules that must be there. TensorRT is in no extra, since its package goes
with the version of CUDA."""

_DISTRIBUTIONS = {"onnxruntime": ("onnxruntime", "onnxruntime-gpu"), "torch_pruning": ("torch-pruning",)}
"""Names of packages by module, where they are others than the module's."""


def versions_for(*needs: str) -> dict[str, str | None]:
    """Return the versions of PyTorch and of all packages that runtimes, formats or pruning need; None if absent."""
    modules = dict.fromkeys(module for what in needs for module in NEEDS.get(what, ("", ()))[1])
    names = [name for module in modules for name in _DISTRIBUTIONS.get(module, (module,))]
    return {name: package_version(name) for name in ("torch", *names)}


def absent(what: str) -> list[str]:
    """Return which modules are missing for a runtime, a format or pruning; nothing is imported."""
    _, modules = NEEDS.get(what, ("", ()))
    return [name for name in modules if find_spec(name) is None]


def refuse_absent(needed: Iterable[str]) -> None:
    """Refuse what cannot be done for want of a package.

    Raises:
        UsageError: Packages are missing; names them and the extras that install them.
    """
    missing = {what: modules for what in dict.fromkeys(needed) if (modules := absent(what))}
    if not missing:
        return
    lacking = "; ".join(f"{what} needs {', '.join(modules)}" for what, modules in missing.items())
    extras = ",".join(dict.fromkeys(NEEDS[what][0] for what in missing))
    by_hand = " and 'pip install tensorrt'" if any("tensorrt" in modules for modules in missing.values()) else ""
    raise UsageError(f"{lacking}: install with pip install 'segbench[{extras}]'{by_hand}")
