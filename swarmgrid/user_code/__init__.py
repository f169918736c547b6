"""Reading the user's code: its owner, its syntax, and the names that its instructions take."""
