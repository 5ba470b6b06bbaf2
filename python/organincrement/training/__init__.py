"""Trainer, checkpoint, resume, validation."""
