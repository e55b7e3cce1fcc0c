"""What is trained: tasks and their data, tokenizers, Keras layers and variants, recipes, trained weights."""
