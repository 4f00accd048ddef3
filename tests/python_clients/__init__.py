"""Tests with published Python clients."""
