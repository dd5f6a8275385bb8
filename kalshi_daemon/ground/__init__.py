"""What everybody stands on: units, time, errors, strict readers, files. Imports nothing of the house."""
