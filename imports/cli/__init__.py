"""The command line: a module a command, and what the user sees."""
