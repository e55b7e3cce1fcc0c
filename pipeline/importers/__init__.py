"""Models of other projects. May import quantize, network, recipes and below."""
