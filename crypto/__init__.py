"""Keys, signatures and sealed bytes; the only package that imports a crypto library."""
