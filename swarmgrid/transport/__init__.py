"""The transport of a job and the user's code to other processes: by value."""
