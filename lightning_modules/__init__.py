"""Network families as ordinary LightningModules, with their parts by name.

Comes in: settings (numbers and names). Goes out: modules that any `pl.Trainer` fits.
Parts live in registries, so a new one is one function: `activations`, `initializers`,
`optimizers`, `families`. This file imports nothing, so that the package is cheap to import;
`lightning_modules.families` loads the built-in families.
"""
