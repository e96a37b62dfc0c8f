"""Where settings come from: variables, .env files, the project folder; and what values may be."""
