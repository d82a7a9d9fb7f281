"""Training and evaluation. Importing this package imports no torch."""

LOSSES = {
    "cross_entropy": "segbench.engine.losses.pixel:cross_entropy",
    "binary_cross_entropy": "segbench.engine.losses.pixel:binary_cross_entropy",
    "ohem_cross_entropy": "segbench.engine.losses.hard_pixels:ohem_cross_entropy",
    "boundary_cross_entropy": "segbench.engine.losses.hard_pixels:boundary_cross_entropy",
    "mse": "segbench.engine.losses.pixel:mse",
    "focal": "segbench.engine.losses.pixel:focal",
    "dice": "segbench.engine.losses.region:dice",
    "tversky": "segbench.engine.losses.region:tversky",
    "lovasz": "segbench.engine.losses.region:lovasz",
    "python:": "segbench.engine.losses.foreign:python_loss",
}
"""Losses: name -> factory."""

OPTIMIZERS = {
    "sgd": "segbench.engine.optimizers:sgd",
    "adam": "segbench.engine.optimizers:adam",
    "adamw": "segbench.engine.optimizers:adamw",
    "nadamw": "segbench.engine.optimizers:nadamw",
    "rmsprop": "segbench.engine.optimizers:rmsprop",
    "lamb": "segbench.engine.optimizers:lamb",
    "lion": "segbench.engine.optimizers:lion",
    "timm:": "segbench.engine.optimizers:timm_optimizer",
    "python:": "segbench.engine.foreign_optimizers:python_optimizer",
}
"""Optimizers, the built-in ones all through timm: name -> factory."""

SCHEDULES = {
    "constant": "segbench.engine.schedules:constant",
    "poly": "segbench.engine.schedules:poly",
    "cosine": "segbench.engine.schedules:cosine",
    "step": "segbench.engine.schedules:step",
    "multistep": "segbench.engine.schedules:multistep",
    "exponential": "segbench.engine.schedules:exponential",
    "python:": "segbench.engine.foreign_schedules:python_schedule",
}
"""Learning-rate schedules, the built-in ones all through timm: name -> factory."""
