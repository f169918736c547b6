"""What is asked for, and what of it is missing; no function is called here."""
