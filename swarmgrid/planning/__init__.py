"""The request, and the part of it that is missing; no function is called here."""
