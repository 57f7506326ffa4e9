"""For those who carry the project on: benchmarks, endurance tests, and the pages of docs."""
