"""How results are drawn, in one style."""
