"""The two forms that a model has: the graph of a .tflite, and the program of kernel calls."""
