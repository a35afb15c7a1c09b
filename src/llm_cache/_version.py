"""The version of the library, read by the build and published with the layer."""

__version__ = "0.1.0"
