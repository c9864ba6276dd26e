"""Formats by language; Django looks here before its own."""
