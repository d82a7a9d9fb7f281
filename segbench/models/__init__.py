"""The networks. Imports no torch; a network's module is imported when it is built."""

CATALOG = {
    "cnn": "segbench.models.networks.cnn:cnn",
    "keras_cnn": "segbench.models.networks.cnn:keras_cnn",
    "fcn32s": "segbench.models.networks.fcn:fcn32s",
    "fcn16s": "segbench.models.networks.fcn:fcn16s",
    "fcn8s": "segbench.models.networks.fcn:fcn8s",
    "unet": "segbench.models.networks.unet:unet",
    "deconvnet": "segbench.models.networks.deconvnet:deconvnet",
    "segnet": "segbench.models.networks.segnet:segnet",
    "segnet_basic": "segbench.models.networks.segnet:segnet_basic",
    "fc_densenet56": "segbench.models.networks.fc_densenet:fc_densenet56",
    "fc_densenet67": "segbench.models.networks.fc_densenet:fc_densenet67",
    "fc_densenet103": "segbench.models.networks.fc_densenet:fc_densenet103",
    "fc_densenet": "segbench.models.networks.fc_densenet:fc_densenet",
    "densenet_fcn": "segbench.models.networks.densenet_fcn:densenet_fcn",
    "deeplab_largefov": "segbench.models.networks.deeplab:deeplab_largefov",
    "deeplabv3plus": "segbench.models.networks.deeplab:deeplabv3plus",
    "torchvision:": "segbench.models.external:torchvision_model",
    "smp:": "segbench.models.external:smp_model",
    "python:": "segbench.models.external:python_model",
}
"""Built-in networks: name -> factory. A name ending in a colon is a family."""
