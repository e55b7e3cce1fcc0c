"""The transformer in Keras, its decode step, its weights files.

TensorFlow begins here. May import recipes and below.
"""
