"""A checkpoint as one file for other programs: from noise and conditions to physical events."""
