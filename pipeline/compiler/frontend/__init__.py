"""From the bytes of a .tflite to a graph."""
