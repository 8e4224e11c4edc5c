"""The portrait: the analysed photo in the common frame, from which everything else starts."""

from __future__ import annotations

import torch
from attrs import evolve, frozen
from torch import Tensor


@frozen(kw_only=True, eq=False)
class Portrait:
    """A framed photo. The reference camera (azimuth 0, elevation 0) sees exactly this picture."""

    rgba: Tensor
    """`[side, side, 4]`, float32 in 0..1, display-referred sRGB, straight (not premultiplied) alpha."""
    landmarks_px: Tensor
    """`[478, 3]`, float32, pixels of the framed picture; z in the same unit, smaller is nearer to the camera."""
    prompt: str
    """A plain description for text-conditioned priors, such as "photo of a woman, short brown hair"."""
    photo_to_frame: Tensor
    """`[2, 3]`, float64: affine map from pixels of the photo to pixels of the frame."""
    photo_inside: Tensor
    """`[side, side]`, bool: where the frame lies inside the photo. Outside, alpha is 0 and says nothing about the
    subject: the photo merely ends there."""
    sha256: str
    """Of the photo's file."""

    @property
    def side_px(self) -> int:
        """Height and width of the frame."""
        return int(self.rgba.shape[0])

    def to(self, device: torch.device) -> Portrait:
        """Return the portrait with all tensors on a device."""
        tensors = ("rgba", "landmarks_px", "photo_to_frame", "photo_inside")
        return evolve(self, **{name: getattr(self, name).to(device) for name in tensors})
