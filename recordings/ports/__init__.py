"""The interfaces that the domain needs. Adapters implement them, and the same contract tests run on each adapter."""
