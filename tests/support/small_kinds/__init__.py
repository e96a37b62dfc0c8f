"""Small kinds of the tests, a module for each seam of the engine that it uses."""
