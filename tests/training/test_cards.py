"""What model cards are made of: tables, contact sheets, the cost read from the states of trainings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from training.common.files import write_tensors
from training.publish.cost import training_facts
from training.publish.sheet import write_sheet
from training.publish.tables import render


def test_tables_of_nested_figures():
    text = render(
        {
            "seed": 3,
            "a|b": {"x_db": {"one": 1.0, "two": None}, "y": {"one": 12345.6}},
            "c": {"d": {"e": {"f": [1, "g"]}}},
        },
        3,
    )
    assert text == (
        "|  | value |\n| --- | --- |\n| seed | 3 |\n\n"
        "### a\\|b\n\n|  | one | two |\n| --- | --- | --- |\n| x db | 1 | – |\n| y | 12,346 |  |\n\n"
        "### c\n\n#### d\n\n|  | f |\n| --- | --- |\n| e | 1, g |"
    )


def test_sheets_fit_the_limit_and_stay_readable(tmp_path):
    rows, columns = np.mgrid[0:300, 0:400]
    pixels = np.stack([rows % 256, columns % 256, (rows * columns) % 256], 2).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    write_sheet(tmp_path / "a.png", tmp_path / "a.webp")
    with Image.open(tmp_path / "a.webp") as whole:
        assert whole.size == (400, 300)
    write_sheet(tmp_path / "a.png", tmp_path / "b.webp", most_bytes=8000)
    assert 2000 < (tmp_path / "b.webp").stat().st_size <= 8000
    with Image.open(tmp_path / "b.webp") as small:
        assert small.size[0] / small.size[1] == pytest.approx(4 / 3, rel=0.05)


def test_cost_is_read_from_the_states_of_all_trainings_that_led_there(tmp_path):
    def state(name: str, **settings) -> None:
        facts = {"step": 10, "seconds": 3661.0, "settings": settings}
        write_tensors(tmp_path / name / "state.safetensors", {"x": torch.zeros(1)}, facts)

    state("vae-1", batch=8, seed=0)
    state("vae-2", batch=8, seed=1, base="f" * 64)
    state("zero123", heads=16, views=6)
    state("video", batch=2)
    (tmp_path / "vae-old").mkdir()
    facts = training_facts(tmp_path, "vae", "two cores")
    assert list(facts["trainings"]) == ["vae-1", "vae-2"]
    assert facts["settings"] == {"batch": 8, "seed": 1}
    assert facts["machine"] == "two cores"
    row = training_facts(tmp_path, "zero123", None)["trainings"]["zero123"]
    assert row == {"steps": 10, "pictures per step": 96, "pictures in all": 960, "time": "1 h 01 min"}
    assert training_facts(tmp_path, "video", None)["trainings"]["video"]["pictures in all"] == 500
    assert training_facts(tmp_path, "sd", None) is None
