"""Models: text to next-token distributions, behind one seam."""
