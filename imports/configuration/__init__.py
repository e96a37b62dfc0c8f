"""Sources of settings (variables, .env files, the project folder), and checks of their values."""
