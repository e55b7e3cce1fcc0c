"""The stages of a recipe, one file each, and their registry. May import everything below `sweep` and `bench`."""
