"""Records that a service keeps beside its runs: keys, files, batch jobs, reports, usage."""
