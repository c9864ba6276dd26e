"""Reading, checking and loading a licensed MedDRA distribution, and searching it."""
