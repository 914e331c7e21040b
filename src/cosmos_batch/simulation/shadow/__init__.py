"""Shadow replays: what the runs that came last would have taken under other rules."""
