"""The report of a job: one HTML file that anybody can open, and the loss curve as a picture."""
