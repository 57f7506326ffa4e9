"""How a population is trained, recorded and shown."""
