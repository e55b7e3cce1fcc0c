"""How a product's weights can be held: one file an encoding, with its proof, its cost and its packing."""
