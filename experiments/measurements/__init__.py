"""What is measured of trained models: their gates, and the gradients that they carry."""
