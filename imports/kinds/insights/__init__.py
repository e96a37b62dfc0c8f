"""insights: what a model wrote about the members of a network, merged into one row of each contact."""
