"""What content types are known by: extensions, first bytes, frames of sound, the beginnings of active text."""
