"""The fleet of a simulation: devices, workers, their queue, failures, on one virtual clock."""
