"""Training and evaluation. Importing this package imports no torch."""

LOSSES = {
    "cross_entropy": "segbench.engine.losses:cross_entropy",
    "mse": "segbench.engine.losses:mse",
    "dice": "segbench.engine.losses:dice",
    "focal": "segbench.engine.losses:focal",
    "lovasz": "segbench.engine.losses:lovasz",
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
}
"""Optimizers, all through timm: name -> factory."""

SCHEDULES = {
    "constant": "segbench.engine.schedules:constant",
    "poly": "segbench.engine.schedules:poly",
    "cosine": "segbench.engine.schedules:cosine",
    "step": "segbench.engine.schedules:step",
    "multistep": "segbench.engine.schedules:multistep",
    "exponential": "segbench.engine.schedules:exponential",
}
"""Learning-rate schedules, all through timm: name -> factory."""
