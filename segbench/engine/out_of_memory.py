"""Recognises out-of-memory errors."""

from __future__ import annotations

import errno

import torch

_SIGNS = (
    "out of memory",  # CUDA, MPS, XPU, NCCL, Triton: 'CUDA error: out of memory', 'MPS backend out of memory (…)'
    "can't allocate memory",  # torch's CPU allocator
    "not enough memory",  # the same on Windows
    "bad_alloc",  # C++
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED, CUFFT_ALLOC_FAILED
    "allocation_failed",  # cuDNN 9: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, …_HOST_ALLOCATION_FAILED
    "out_of_device_memory",  # SYCL on XPU: UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY
    "out_of_host_memory",
)
"""Texts that identify out-of-memory errors. ``CUDNN_STATUS_NOT_SUPPORTED`` is not one.

``CUDNN_STATUS_INTERNAL_ERROR`` may mean it (https://github.com/pytorch/pytorch/issues/81620: the library's kernels did
not fit), but usually means something else, so it counts as another error.
"""
_NO_ENGINE = "unable to find an engine to execute this computation"
"""torch's error if no cuDNN convolution works: either all lacked workspace memory, or none exists for the GPU
(https://github.com/pytorch/pytorch/issues/108645)."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on the device or on the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    return any(sign in text for sign in _SIGNS) or (_NO_ENGINE in text and _cuda_ran_out())


def _cuda_ran_out() -> bool:
    """Return whether torch's CUDA allocator has run out of memory in this process, even if the error was caught."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    return int(torch.cuda.memory_stats().get("num_ooms", 0)) > 0
