"""The program as its users meet it: output, questions, exit codes; in a terminal or a pipe."""
