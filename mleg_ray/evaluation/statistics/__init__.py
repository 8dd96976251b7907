"""Estimates with errors and floors, and what several metrics compute them with."""
