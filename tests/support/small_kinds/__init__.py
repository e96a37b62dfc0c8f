"""Small kinds, each of which uses what one seam of the engine offers."""
