"""A run from the coordinator's side: what it holds open, and each phase's loop over workers."""
