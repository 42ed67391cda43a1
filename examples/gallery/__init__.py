"""A gallery of photographs in the browser: ``make gallery``."""
