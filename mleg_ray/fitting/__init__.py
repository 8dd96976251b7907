"""What a table of events is, and the catalog entry and recipe that follow from it."""
