"""Everything that knows MLflow: opening a store, writing records to it, reading them back."""
