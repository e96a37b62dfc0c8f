"""Files: opening only regular ones, replacing them as a whole, finding free names."""
