"""Configuration: frozen attrs records, TOML layers, typed flags. Nothing here imports torch."""
