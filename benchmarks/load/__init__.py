"""How the archive behaves under load: many associations, slow peers, large things. `python -m benchmarks.load`."""
