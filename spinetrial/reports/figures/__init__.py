"""Vector figures of the report and of the dashboards, one module each."""
