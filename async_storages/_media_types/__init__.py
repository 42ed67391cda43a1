"""Tables of content types: extensions, first bytes, frames of sound, the beginnings of active text."""
