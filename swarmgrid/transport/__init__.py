"""How a job and the user's code travel to other processes: by value."""
