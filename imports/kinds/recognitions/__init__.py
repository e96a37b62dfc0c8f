"""recognitions: trays, photographed by two cameras, with their menu and their receipt."""
