"""Threads and processes that work."""
