"""The servers that there are: how they are reached, run on this machine, and given their schema."""
