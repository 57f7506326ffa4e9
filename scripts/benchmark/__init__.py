"""Training steps of this project and of its peers, timed side by side."""
