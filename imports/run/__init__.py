"""The resources of a run, in the coordinator."""
