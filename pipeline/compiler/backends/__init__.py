"""Other ways to hold a model in an image: TensorFlow Lite Micro's interpreter."""
