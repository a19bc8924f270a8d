"""The witness: reads event times out of any file, without the code that wrote it."""
