"""SpineTrial: electronic data capture of trial ChiCTR1900023401."""

__version__ = "1.0"
