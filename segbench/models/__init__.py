"""The networks. Importing this package imports no torch; a network's module is imported when it is built."""

CATALOG = {
    "cnn": "segbench.models.networks.cnn:PlainCNNOptions",
    "keras_cnn": "segbench.models.networks.cnn:KerasCNNOptions",
    "fcn32s": "segbench.models.networks.fcn:FCN32sOptions",
    "fcn16s": "segbench.models.networks.fcn:FCN16sOptions",
    "fcn8s": "segbench.models.networks.fcn:FCN8sOptions",
    "unet": "segbench.models.networks.unet:unet",
    "deconvnet": "segbench.models.networks.deconvnet:DeconvNetOptions",
    "segnet": "segbench.models.networks.segnet:SegNetOptions",
    "segnet_basic": "segbench.models.networks.segnet:SegNetBasicOptions",
    "fc_densenet56": "segbench.models.networks.fc_densenet:FCDenseNet56Options",
    "fc_densenet67": "segbench.models.networks.fc_densenet:FCDenseNet67Options",
    "fc_densenet103": "segbench.models.networks.fc_densenet:FCDenseNet103Options",
    "fc_densenet": "segbench.models.networks.fc_densenet:FCDenseNetOptions",
    "densenet_fcn": "segbench.models.networks.densenet_fcn:densenet_fcn",
    "deeplab_largefov": "segbench.models.networks.deeplab:DeepLabLargeFOVOptions",
    "deeplabv3plus": "segbench.models.networks.deeplab:DeepLabV3PlusOptions",
    "torchvision:": "segbench.models.external:torchvision_model",
    "smp:": "segbench.models.external:smp_model",
    "python:": "segbench.models.external:python_model",
}
"""Built-in networks: name -> factory. A name that ends in a colon is a family."""
