"""The lab's studies as tables, figures and pages."""
