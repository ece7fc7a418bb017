"""Which classes transformers' Auto classes choose, for test/unit/auto.test.ts."""

import transformers


def chosen(kind: str, folder: str) -> str:
    """The name of the class that `kind`.from_pretrained makes an instance of."""
    return type(getattr(transformers, kind).from_pretrained(folder)).__name__
