"""The networks. Importing this package imports no torch; a network's module is imported when it is built."""

CATALOG = {
    "cnn": "segbench.models.cnn:cnn",
    "keras_cnn": "segbench.models.cnn:keras_cnn",
    "fcn32s": "segbench.models.fcn:fcn32s",
    "fcn16s": "segbench.models.fcn:fcn16s",
    "fcn8s": "segbench.models.fcn:fcn8s",
    "unet": "segbench.models.unet:unet",
    "deconvnet": "segbench.models.deconvnet:deconvnet",
    "segnet": "segbench.models.segnet:segnet",
    "segnet_basic": "segbench.models.segnet:segnet_basic",
    "fc_densenet56": "segbench.models.fc_densenet:fc_densenet56",
    "fc_densenet67": "segbench.models.fc_densenet:fc_densenet67",
    "fc_densenet103": "segbench.models.fc_densenet:fc_densenet103",
    "fc_densenet": "segbench.models.fc_densenet:fc_densenet",
    "densenet_fcn": "segbench.models.densenet_fcn:densenet_fcn",
    "deeplab_largefov": "segbench.models.deeplab:deeplab_largefov",
    "deeplabv3plus": "segbench.models.deeplab:deeplabv3plus",
    "torchvision:": "segbench.models.external:torchvision_model",
    "smp:": "segbench.models.external:smp_model",
    "python:": "segbench.models.external:python_model",
}
"""Built-in networks: name -> factory. A name that ends in a colon is a family."""
