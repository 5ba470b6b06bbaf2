"""Network classes, head growth, sizing."""
