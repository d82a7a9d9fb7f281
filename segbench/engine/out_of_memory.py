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
"""What errors say that mean memory and nothing else. ``CUDNN_STATUS_NOT_SUPPORTED`` never does.

``CUDNN_STATUS_INTERNAL_ERROR`` may (https://github.com/pytorch/pytorch/issues/81620: the library's own kernels did not
fit any more), but mostly means something else, and nothing tells which: it counts as another error.
"""
_NO_ENGINE = "unable to find an engine to execute this computation"
"""What torch says when no convolution of cuDNN works: each may have lacked its workspace, or none exists for the GPU
(https://github.com/pytorch/pytorch/issues/108645)."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on the device or here."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    return any(sign in text for sign in _SIGNS) or (_NO_ENGINE in text and _cuda_ran_out())


def _cuda_ran_out() -> bool:
    """Return whether torch's CUDA allocator had to refuse memory in this process, whoever caught its error."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    return int(torch.cuda.memory_stats().get("num_ooms", 0)) > 0
