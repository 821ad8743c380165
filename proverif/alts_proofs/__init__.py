"""The ProVerif scripts, their expected results and the command that compares the two."""
