"""The miniature landmark ControlNet: drawings of face landmarks steer the miniature text-to-image prior."""
