"""OpenTelemetry traces. Nothing imports this package unless `--otel` is set: start with `exporter`."""
