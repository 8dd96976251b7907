"""Machine-learning event generators for particle and nuclear physics, on Ray."""

__version__ = "0.2.0"
