"""From a YAML file or Python values to a mapping, with errors a person can act on."""
