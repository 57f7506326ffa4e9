"""Offline: read what runs left behind, or measure things."""
