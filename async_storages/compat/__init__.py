"""The names of other libraries, for programs that move over."""
