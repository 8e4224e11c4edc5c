"""The page: whole, without addresses, its texts escaped, its pictures and numbers those of the evaluation."""

import json
import re

import attrs
import numpy as np
import pytest
import torch

from pshead_core.errors import RunFolderError
from pshead_core.evaluation.measure import summary
from pshead_core.report.html import report_html, write_report
from pshead_core.report.pictures import SCALE_END, STOPS, error_colours
from pshead_core.run.page import WORKER_FIX

from .conftest import MEASURED, NASTY, REASON, SIDE_PX
from .parsed import parsed, picture


@pytest.fixture(scope="module")
def tree(whole):
    return parsed(report_html(whole))


def _section(tree, title):
    found = [part for part in tree.all("section") if part.all("h2")[0].text() == title]
    return found[0] if found else None


def _cells(row):
    return [cell.text() for cell in row.children]


def test_page_asks_for_nothing(whole, run):
    html = report_html(attrs.evolve(whole, run=run))
    outside = re.sub(r'<script type="application/json" id="viewer">.*?</script>', "", html, flags=re.S)
    assert len(outside) < len(html) / 2  # the viewer was cut out, and nothing beyond it
    assert not re.findall(r"https?://|//\w+\.\w+/|url\(|@import|<link|<base|<object|<embed", outside)
    tree = parsed(html)
    for tag in ("script", "iframe", "source", "video"):
        assert not [node for node in tree.all(tag) if node.attributes.get("src")]
    assert all(node.attributes["src"].startswith("data:") for node in tree.all("img"))
    policy = tree.all("meta", http_equiv="Content-Security-Policy")[0].attributes["content"]
    allowed = set(re.split(r"[ ;]+", policy))
    assert "default-src 'none'" in policy
    assert {word for word in allowed if ":" in word} == {"data:", "blob:"}
    assert not allowed & {"*", "'self'"}


def test_viewer_is_inert_text_with_the_fix_for_frames(tree):
    texts = [node.text() for node in tree.all("script", type_="application/json")]
    assert len(texts) == 1
    assert "<" not in texts[0]
    page = json.loads(texts[0])
    assert page.startswith("<!doctype html>")
    assert "__VISER_EMBED_DATA__" in page
    assert WORKER_FIX not in page
    assert page.count('if (self.origin === "null")') == 1
    assert 'location.protocol === "file:"' not in page


def test_every_picture_has_a_text_and_decodes_at_its_size(tree, whole):
    images = tree.all("img")
    novel = len(whole.scene.novel.rgb)
    assert novel == 6
    assert len(images) == 3 + 8 + 1 + 3 * novel
    for image in images:
        assert picture(image).size == (SIDE_PX, SIDE_PX)
        assert (image.attributes["width"], image.attributes["height"]) == (str(SIDE_PX), str(SIDE_PX))
    described = [image.attributes["alt"] for image in images]
    assert described.count("") == 1  # that behind the button
    assert len(set(described)) == len(images)


def test_pictures_are_those_of_the_evaluation(tree, whole):
    photo, head, _ = _section(tree, "Beside the photo").all("img")
    _close(picture(photo), whole.scene.photo.rgb[0])
    _close(picture(head), whole.scene.reference.rgb[0])
    shown = _section(tree, "Eight views").all("img")
    for image, view in zip(shown, whole.sheet, strict=True):
        _close(picture(image), torch.from_numpy(view) / 255)
    labels = [node.text() for node in _section(tree, "Eight views").all("figcaption")]
    assert labels == ["0° front", "45°", "90° left side", "135°", "180° back", "225°", "270° right side", "315°"]
    groups = _section(tree, "Beside the truth").all("div", class_="group")
    for place, group in enumerate(groups):
        true, view, _ = group.all("img")
        _close(picture(true), whole.scene.truth.rgb[place])
        _close(picture(view), whole.scene.novel.rgb[place])
        azimuth = float(whole.scene.novel.cameras.azimuth_deg[place]) % 360
        assert group.all("h3")[0].text().split("°")[0] == f"{azimuth:g}"


def _close(shown, wanted):
    """WebP is lossy; another view differs by far more."""
    assert np.abs(np.asarray(shown) / 255 - wanted.numpy()).mean() < 0.03


def test_error_map_says_the_mean_difference(tree, whole):
    notes = [node.all("span") for node in _section(tree, "Beside the photo").all("figcaption")]
    mean = np.abs(whole.scene.photo.rgb[0].numpy() - whole.scene.reference.rgb[0].numpy()).mean()
    assert float(notes[2][0].text().removeprefix("mean ")) == pytest.approx(mean, abs=6e-5)


def test_error_colours_follow_the_scale():
    shares = np.array([0.0, 0.125, 0.25, 0.6, 1.0, 2.0])
    found = error_colours(torch.tensor(shares * SCALE_END)[None].float())[0].numpy() * 255
    ends = np.linspace(0, 1, len(STOPS))
    wanted = [np.interp(shares, ends, [stop[channel] for stop in STOPS]) for channel in range(3)]
    np.testing.assert_allclose(found, np.stack(wanted, -1), atol=1e-3)
    light = np.array(STOPS) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) < 0).all()


def test_every_page_draws_the_same_scale(tree):
    for title in ("Beside the photo", "Beside the truth"):
        (scale,) = _section(tree, title).all("div", class_="scale")
        bar, ticks = scale.all("div")
        assert re.findall(r"rgb\((\d+), (\d+), (\d+)\)", bar.attributes["style"]) == [
            tuple(map(str, stop)) for stop in STOPS
        ]
        assert [tick.text() for tick in ticks.all("span")] == ["0.0", "0.1", "0.2", "0.3", "0.4+"]
        assert SCALE_END == 0.4


def test_table_of_numbers(tree):
    rows = _section(tree, "Numbers").all("tbody")
    reference, novel = [[_cells(row) for row in body.all("tr")[1:]] for body in rows]
    assert reference[0] == ["psnr_dbnoise <ratio>", "31.42 dB", "photo", "higher", "0 to 120", "fidelity"]
    assert novel[0] == ["psnr_dbnoise <ratio>", "17.25 dB", "truth", "higher", "0 to 120", "fidelity"]
    assert novel[2] == ["alikelikeness", "0.5123 †", "photo", "higher", "-1 to 1", "clip"]
    assert novel[3] == ["sharpnessratio", "0", "nothing", "nearer to 1", "0 to ∞", "sharp"]
    assert "penalty" in _section(tree, "Numbers").text()


def test_missing_numbers_have_a_reason_and_no_value(tree):
    rows = _section(tree, "Numbers").all("tr", class_="missing")
    assert [row.attributes["data-key"] for row in rows] == ["reference.lpips", "novel.lpips"]
    for row in rows:
        assert _cells(row) == ["lpips", f"not measured: {REASON}", "lpips"]
        assert not row.all("td", class_="value")
        assert not re.search(r"\d", row.text())


def test_no_note_on_penalties_without_one(whole):
    tree = parsed(report_html(attrs.evolve(whole, measured=MEASURED[:4])))
    assert "penalty" not in _section(tree, "Numbers").text()


def test_texts_of_others_are_escaped(whole, run):
    html = report_html(attrs.evolve(whole, name=NASTY, run=run, licences={NASTY: (NASTY,)}, seconds={NASTY: 1.0}))
    assert "<script>alert" not in html
    tree = parsed(html)
    assert tree.all("h1")[0].text() == NASTY
    assert not [node for node in tree.all("script") if "alert" in node.text()]
    assert len(tree.all("script")) == 2
    assert [NASTY in image.attributes["alt"] for image in tree.all("img")].count(False) == 1
    assert _cells(_section(tree, "Licences of the metrics").all("tr")[1]) == [NASTY, NASTY]
    assert _cells(_section(tree, "Plugins of the run").all("tr")[1])[0] == f"guidance/{NASTY}"
    assert tree.all("polyline", data_name=NASTY)


def test_page_without_photo_truth_and_run(bare):
    tree = parsed(report_html(bare))
    titles = [node.text() for node in tree.all("h2")]
    assert "Beside the truth" not in titles
    assert not [title for title in titles if "run" in title]
    assert len(_section(tree, "Beside the photo").all("img")) == 1
    assert "no photo" in _section(tree, "Beside the photo").text()
    assert not tree.all("p", class_="notice")
    assert not tree.all("svg")


def test_page_with_a_run(whole, run):
    tree = parsed(report_html(attrs.evolve(whole, run=run)))
    assert "1 min 5 s" in tree.all("dl")[0].text()
    notice = tree.all("p", class_="notice")[0].text()
    assert "mini/sd" in notice
    assert "small models trained on synthetic heads" in notice
    assert _cells(_section(tree, "Weights of the run").all("tr")[1])[:2] == ["mini/sd", "bundled 41c8af9d74a2"]
    times = [_cells(row) for row in _section(tree, "Times of the run").all("tr")[1:]]
    assert times == [
        ["novel", "8", "0.80 s"],
        [NASTY, "4", "1.0 s"],
        ["rendering, reference view, optimiser", "8", "6.2 s"],
        ["all steps", "8", "8.0 s"],
    ]


def test_run_with_full_size_weights_has_no_notice(whole, run):
    used = json.loads((run / "plugins.json").read_text())
    used["weights"][0]["name"] = "someone/minimal-sd"
    (run / "plugins.json").write_text(json.dumps(used))
    assert not parsed(report_html(attrs.evolve(whole, run=run))).all("p", class_="notice")


def test_run_that_was_not_finished(whole, run):
    (run / "run.json").unlink()
    with (run / "report.jsonl").open("a") as stream:
        stream.write('{"step": 8, "side')
    tree = parsed(report_html(attrs.evolve(whole, run=run)))
    assert "not finished" in tree.all("dl")[0].text()
    assert tree.all("svg")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("report.jsonl", '{"step": 0}\n', "line 1 of report.jsonl"),
        ("plugins.json", "[]", "plugins.json holds no object"),
        ("run.json", "{", "run.json is no JSON"),
        ("plugins.json", '{"plugins": [{"kind": "guidance"}]}', "plugins.json"),
    ],
)
def test_damaged_run_is_named(whole, run, name, text, said):
    (run / name).write_text(text)
    with pytest.raises(RunFolderError, match="is damaged") as raised:
        report_html(attrs.evolve(whole, run=run))
    assert said in raised.value.why


def test_written_files(whole, tmp_path):
    folder = tmp_path / "new" / "folder"
    write_report(folder, whole)
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "report.html"]
    found = json.loads((folder / "metrics.json").read_text())
    assert found["metrics"] == json.loads(json.dumps(summary(MEASURED)))
    assert [one["value"] for one in found["metrics"]] == [31.4159, None, 17.25, None, 0.51234, 0.0]
    assert (found["side_px"], found["novel_views"], found["has_truth"]) == (SIDE_PX, 6, True)
    assert found["head"] == "head.ply"
    assert (folder / "report.html").read_text(encoding="utf-8") == report_html(whole)


def test_folder_that_cannot_be_made(whole, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot write"):
        write_report(tmp_path / "file" / "below", whole)


def test_metrics_by_miniatures_are_said_to_mean_nothing_for_photos(whole):
    judged = attrs.evolve(whole, weights={"identity": ("mini/identity-judge",), "lpips": ("torchvision-alexnet",)})
    assert "Measured with miniatures" not in report_html(whole)
    page = report_html(judged)
    assert "Measured with miniatures.</strong> <code>mini/identity-judge</code> are small models" in page
