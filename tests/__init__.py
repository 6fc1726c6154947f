"""Tests in three layers: unit (pure), integration (event files, TensorBoard), browser (the real tab)."""
