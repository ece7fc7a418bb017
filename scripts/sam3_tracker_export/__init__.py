"""Exports the components of SAM3 Tracker as TorchScript graphs that hold no weights.

The graphs come from modules of this package that perform the operations of transformers' modules in the same order,
under the same parameter names. They depend on torch and on the configuration only, not on the version of transformers.
"""
