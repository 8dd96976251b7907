"""The systems of the machine-learning event generator dissertation, a module for each kind."""
