"""Planning of launches and batches: pure functions of runs, an engine's traits and a cost model."""
