"""What runs and sweeps amount to: rows of results, and one page about them."""
