"""From a photo file to the portrait: load, analyse, frame."""
