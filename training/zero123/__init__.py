"""mini/zero123: another view of a head from its front picture and a camera."""
