"""From the frame of a study to tables, figures and findings, and the pages that print them."""
