"""The simulator: the deciding modules of a service on a virtual clock, for any number of devices."""
