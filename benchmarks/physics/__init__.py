"""How close generated events come to true ones."""
