"""Lists of hosts written by others: their syntaxes, what is kept of them, and which is in force when."""
