"""For a run that deletes or moves the files of its source: the plan, and the progress log."""
