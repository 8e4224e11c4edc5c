"""The project's own plugins, so that a message can say which distribution to install.

A test compares this table with the folders under `plugins/`.
"""

from __future__ import annotations

from pshead_core.specs import Kind

FIRST_PARTY: dict[tuple[Kind, str], str] = {
    ("guidance", "flat_color"): "pshead-guidance-flat-color",
    ("guidance", "identity"): "pshead-guidance-identity",
    ("guidance", "personalized_sd"): "pshead-guidance-personalized-sd",
    ("guidance", "video"): "pshead-guidance-video",
    ("guidance", "zero123"): "pshead-guidance-zero123",
    ("refiners", "codeformer"): "pshead-refiners-codeformer",
    ("refiners", "landmark_controlnet"): "pshead-refiners-landmark-controlnet",
    ("refiners", "personalized_sd"): "pshead-guidance-personalized-sd",
    ("metrics", "clip_similarity"): "pshead-metrics-clip-similarity",
    ("metrics", "consistency"): "pshead-metrics-consistency",
    ("metrics", "contextual"): "pshead-metrics-contextual",
    ("metrics", "fidelity"): "pshead-metrics-fidelity",
    ("metrics", "identity_similarity"): "pshead-guidance-identity",
    ("metrics", "lpips"): "pshead-metrics-lpips",
    ("metrics", "multi_head"): "pshead-metrics-multi-head",
    ("metrics", "sharpness"): "pshead-metrics-sharpness",
    ("metrics", "silhouette"): "pshead-metrics-silhouette",
    ("analyzers", "blip"): "pshead-analyzers-blip",
    ("analyzers", "mediapipe_face"): "pshead-analyzers-mediapipe-face",
    ("checkpoints", "mini/sd"): "pshead-checkpoints-mini",
    ("checkpoints", "mini/zero123"): "pshead-checkpoints-mini",
    ("checkpoints", "mini/video"): "pshead-checkpoints-mini",
    ("checkpoints", "mini/landmark-controlnet"): "pshead-checkpoints-mini",
    ("checkpoints", "mini/identity"): "pshead-checkpoints-mini",
    ("checkpoints", "mini/identity-judge"): "pshead-checkpoints-mini",
    ("checkpoints", "mini/face-restorer"): "pshead-checkpoints-mini",
}
"""Distribution of each plugin that this project publishes."""
