"""What `mleg` and `import mleg_ray` can do: one command a module, one signature for both.

A function here is the command: typer reads its signature, its help texts and its docstring, and
Python calls it. It imports what is heavy when it is called, and returns what it made.
"""
