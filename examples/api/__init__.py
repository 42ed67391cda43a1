"""A small application that keeps people's documents: ``make api``."""
