"""Network families as ordinary LightningModules, with their parts by name.

Comes in: settings (numbers and names). Goes out: modules that any `pl.Trainer` fits.
Parts live in registries, so a new one is one function: `activations`, `initializers`,
`optimizers`, `schedulers`, `families`. This file imports nothing, so that the package is cheap to
import; a registry imports what it is asked for.
"""
