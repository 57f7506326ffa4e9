"""From a config to the library's dataclasses, with every bad value found before any work."""
