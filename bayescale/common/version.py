"""The version of the package, which fits and reports carry."""

__all__ = ["__version__"]

__version__ = "0.1.0"
