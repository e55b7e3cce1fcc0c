"""The stages from a recipe to a verified firmware, and what they share."""
