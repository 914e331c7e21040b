"""Which runs go together, in which order, and what that costs: pure functions of runs, traits and a cost model."""
