"""What is judged: events, true and generated, as columns, and what was counted of all of them."""
