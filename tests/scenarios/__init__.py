"""What users do, and what may happen to them: through the public functions alone."""
