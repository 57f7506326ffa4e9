"""What docstrings say in equations, as mathematics, and as drawings of a cell's step."""
