"""What a recipe says, checked. May import targets, text, numerics."""
