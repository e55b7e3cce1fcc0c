"""From a Keras decode step to a full-integer .tflite. May import network, recipes and below."""
