"""Training and evaluation. Imports no torch."""

LOSSES = {
    "cross_entropy": "segbench.engine.training.losses.pixel:cross_entropy",
    "binary_cross_entropy": "segbench.engine.training.losses.pixel:binary_cross_entropy",
    "ohem_cross_entropy": "segbench.engine.training.losses.hard_pixels:ohem_cross_entropy",
    "boundary_cross_entropy": "segbench.engine.training.losses.hard_pixels:boundary_cross_entropy",
    "mse": "segbench.engine.training.losses.pixel:mse",
    "focal": "segbench.engine.training.losses.pixel:focal",
    "dice": "segbench.engine.training.losses.region:dice",
    "tversky": "segbench.engine.training.losses.region:tversky",
    "lovasz": "segbench.engine.training.losses.region:lovasz",
    "python:": "segbench.engine.training.losses.foreign:python_loss",
}
"""Losses: name -> factory."""

OPTIMIZERS = {
    "sgd": "segbench.engine.training.optim.optimizers:SGDOptions",
    "adam": "segbench.engine.training.optim.optimizers:AdamOptions",
    "adamw": "segbench.engine.training.optim.optimizers:AdamWOptions",
    "nadamw": "segbench.engine.training.optim.optimizers:NAdamWOptions",
    "rmsprop": "segbench.engine.training.optim.optimizers:RMSpropOptions",
    "lamb": "segbench.engine.training.optim.optimizers:LAMBOptions",
    "lion": "segbench.engine.training.optim.optimizers:LionOptions",
    "timm:": "segbench.engine.training.optim.optimizers:timm_optimizer",
    "python:": "segbench.engine.training.optim.foreign:python_optimizer",
}
"""Optimizers, name -> factory; all built-in ones are created by timm."""

SCHEDULES = {
    "constant": "segbench.engine.training.optim.schedules:constant",
    "poly": "segbench.engine.training.optim.schedules:poly",
    "cosine": "segbench.engine.training.optim.schedules:cosine",
    "step": "segbench.engine.training.optim.schedules:step",
    "multistep": "segbench.engine.training.optim.schedules:multistep",
    "exponential": "segbench.engine.training.optim.schedules:exponential",
    "python:": "segbench.engine.training.optim.foreign:python_schedule",
}
"""Learning-rate schedules, name -> factory; all built-in ones are created by timm."""
