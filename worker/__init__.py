"""The processes: settings, data converter and encryption, telemetry, worker, command line."""
