"""What users see and touch: Qt only, state in, intents out; no MRML, no files, no processes."""
