"""The names of other libraries, for programs that switch to this one."""
