"""insights: what a model wrote about members, merged into one row of each contact."""
