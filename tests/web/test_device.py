"""On this device only: somebody's own recogniser is learned, kept and used, answers are explained,
and nothing leaves the browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import mien
from mien.expression.baserates import default_for
from mien.expression.explain import Explainer
from mien.expression.recognize import load_model
from mien.face import ImageArray
from mien.media import image
from mien.person import people, train
from mien.person.people import Person

from .conftest import Open
from .test_page import PICTURES, figures, violations

ABOUT = {"date", "commit", "machine", "versions"}


@pytest.fixture(scope="module")
def yes_and_no(
    astronaut: ImageArray, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Path]]:
    """Three pictures of each word; "no" is dark."""
    folder, found = tmp_path_factory.mktemp("words"), dict[str, list[Path]]()
    for label, darker in (("yes", 1), ("no", 3)):
        found[label] = [folder / f"{label}{i}.png" for i in range(3)]
        for i, path in enumerate(found[label]):
            shifted = astronaut[10 + 4 * i : 270 + 4 * i, 95 + 3 * i : 355 + 3 * i]
            Image.fromarray(shifted - shifted // darker * (darker > 1)).save(path)
    return found


def begin(page: Page, name: str) -> None:
    page.get_by_label("Whose recogniser").fill(name)
    page.get_by_label("Who agrees, and for whom").fill(f"{name}, for herself")
    page.get_by_role("button", name="Begin", exact=True).click()
    expect(page.locator("main").get_by_text(f"Consent: {name}, for herself")).to_be_visible()


def add(page: Page, pictures: dict[str, list[Path]]) -> None:
    for label, files in pictures.items():
        page.get_by_label("What they show").fill(label)
        page.get_by_test_id("samples").set_input_files(files)
        expect(page.locator(".chips")).to_contain_text(f"{label} {len(files)}")


def learn(page: Page) -> None:
    page.get_by_role("button", name="Learn from the samples").click()
    expect(page.locator("main").get_by_text("How many it gets right")).to_be_visible()


def exported(page: Page) -> Person:
    """Everything of Ann, brought into Python."""
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save all that is kept").click()
    assert saved.value.suggested_filename == "Ann.zip"
    return people.bring(saved.value.path())


def kept(page: Page) -> dict[str, int]:
    """How much lies in each store of the browser's."""
    counts: dict[str, int] = page.evaluate(
        """async () => {
          const done = one => new Promise(ok => (one.onsuccess = () => ok(one.result)));
          const database = await done(indexedDB.open("mien"));
          const counts = {};
          for (const name of database.objectStoreNames)
            counts[name] = await done(database.transaction(name).objectStore(name).count());
          database.close();
          return counts;
        }"""
    )
    return counts


def test_it_is_learned_kept_used_handed_out_and_deleted(
    visit_device: Open,
    yes_and_no: dict[str, list[Path]],
    face_film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = visit_device("person")
    expect(page.locator(".place-note")).to_contain_text("Nothing of it is sent.")
    begin(page, "Ann")
    add(page, yes_and_no)
    learn(page)
    expect(page.locator("main").get_by_text("On 6 samples of 6 stimuli")).to_be_visible()

    # The same pictures are not taken twice.
    page.get_by_label("What they show").fill("yes")
    page.get_by_test_id("samples").set_input_files(yes_and_no["yes"][0])
    expect(page.locator("main").get_by_text("Samples taken: 0. Left out: 1")).to_be_visible()

    # What is handed out is a person of Python's, who learns the same and answers the same.
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    ann = exported(page)
    assert [consent.text for consent in ann.consents] == ["Ann, for herself"]
    assert ann.counts() == {"no": 3, "yes": 3}
    told = json.loads((ann.folder / people.TEST).read_text())
    theirs = load_model(ann.folder / "head.onnx")
    picture = image.read_file(yes_and_no["no"][2])
    (face,) = mien.Analyzer(recognizer=theirs).analyze(picture)
    trained = train.train(ann)
    tested = train.tested(ann, "head")
    assert {k: v for k, v in told.items() if k not in ABOUT} == {
        k: v for k, v in tested.items() if k not in ABOUT
    }
    assert trained["labels"] == {"no": 3, "yes": 3}
    ours = load_model(ann.folder / "head.onnx")
    crops = [image.read_file(path)[40:200, 60:220] for path in yes_and_no["yes"]]
    rates = default_for(ours.info.base_rates)
    np.testing.assert_allclose(
        theirs.probabilities(crops, rates), ours.probabilities(crops, rates), atol=1e-3
    )

    # It is kept when the page is closed, with what it is worth, and reads pictures, films and the
    # camera.
    page.reload()
    page.get_by_role("button", name="Ann", exact=True).click()
    expect(page.locator(".chips")).to_contain_text("yes 3")
    expect(page.locator("main").get_by_text("On 6 samples of 6 stimuli")).to_be_visible()
    page.get_by_test_id("try").set_input_files(yes_and_no["no"][2])
    page.locator(".face table.bars").wait_for()
    found = figures(page)
    assert list(found) == ["no", "yes"]
    assert face.emotions is not None
    assert found["no"] == pytest.approx(float(face.emotions.probs[0]), abs=0.02)
    page.get_by_role("link", name="Pictures").click()
    page.get_by_label("Read by").select_option("Ann")
    page.set_input_files(PICTURES, yes_and_no["no"][2])
    page.locator("table.bars").wait_for()
    assert figures(page)["no"] == pytest.approx(found["no"], abs=0.011)
    page.get_by_label("Read by").select_option("the general model")
    expect(page.locator("table.bars tbody tr")).to_have_count(8)
    page.get_by_label("Read by").select_option("Ann")
    page.get_by_role("link", name="Film").click()
    page.set_input_files(PICTURES, face_film)
    page.get_by_label("Frames a second").select_option("2")
    page.get_by_role("button", name="Read the film").click()
    page.get_by_role("button", name="Save").wait_for()
    expect(page.locator("section", has_text="Episodes").first).to_contain_text("yes")
    page.get_by_role("link", name="Camera").click()
    page.get_by_role("button", name="Turn the camera on").click()
    page.locator("table.bars").wait_for()
    assert list(figures(page)) == ["no", "yes"]
    page.get_by_role("link", name="Rules").click()
    page.get_by_label("Whose face").select_option("Ann")
    expect(page.get_by_label("When")).to_contain_text("yes")

    # Deleted is deleted.
    page.get_by_role("link", name="My own recogniser").click()
    assert kept(page) == {"persons": 1, "recognisers": 1, "samples": 6}
    page.get_by_role("button", name="Ann", exact=True).click()
    page.get_by_role("button", name="Delete all of it").click()
    page.get_by_role("button", name="Yes, delete").click()
    expect(page.get_by_role("button", name="Ann", exact=True)).to_have_count(0)
    assert kept(page) == {"persons": 0, "recognisers": 0, "samples": 0}
    page.get_by_role("link", name="Pictures").click()
    page.set_input_files(PICTURES, yes_and_no["no"][2])
    # The one that she read before is there still, and read by the general model like this one.
    for nth in range(2):
        rows = page.locator("article").nth(nth).locator("table.bars tbody tr")
        expect(rows).to_have_count(8)
    expect(page.get_by_label("Read by")).to_have_count(0)


def test_a_guided_session_from_start_to_trained_without_a_network(visit_device: Open) -> None:
    page = visit_device("person")
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.context.set_offline(True)
    page.reload()
    page.clock.install()
    begin(page, "Bo")
    page.get_by_label("Words or expressions").fill("yes, no")
    page.get_by_label("Each so many times").select_option("2")
    page.get_by_role("button", name="Begin the session").press("Enter")
    expect(page.locator("footer .camera")).to_have_text("Camera on")
    sheet = page.locator("ul.sheet li")
    for _ in range(200):
        if sheet.count():
            break
        page.clock.run_for(350)
    expect(page.locator("footer .camera")).to_have_text("Camera off")
    expect(page.locator("main").get_by_text("Nothing of this is kept yet.")).to_be_visible()
    taken = sheet.count()
    assert taken >= 8
    sheet.first.get_by_role("checkbox").uncheck()
    # One that showed the other word is learned under that.
    sheet.nth(1).get_by_role("combobox").select_option("no")
    page.get_by_role("button", name=f"Keep {taken - 1}").press("Enter")
    told = page.locator("main").get_by_text("Samples taken:")
    told.wait_for()
    learned, left = map(
        int, re.findall(r"\d+", told.inner_text())[:2]
    )  # its film comes again and again
    assert learned + left == taken - 1
    assert kept(page)["samples"] == learned >= 6
    learn(page)
    expect(page.locator("main").get_by_text(f"On {learned} samples of 5 stimuli")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Bo", exact=True).click()
    page.get_by_role("button", name="Turn the camera on").click()
    expect(page.get_by_test_id("latency")).to_contain_text("answers a second")
    assert list(figures(page)) == ["no", "yes"]
    learn(page)  # the camera goes on with what was learned anew
    page.wait_for_timeout(1000)
    # But that two words shown by one film are not told apart, nothing is wrong.
    expect(page.locator("p.problem").filter(has_not_text="tell them apart")).to_have_count(0)
    expect(page.locator(".live table.bars tbody tr")).to_have_count(2)


def test_where_nothing_can_be_kept_it_says_so(
    visit_device: Open, yes_and_no: dict[str, list[Path]]
) -> None:
    refusing = """Object.defineProperty(window, "indexedDB", {
      get() { throw new DOMException("", "SecurityError"); } });"""
    page = visit_device("person", script=refusing)
    expect(page.locator("p.problem")).to_contain_text("This browser lets the page keep nothing")
    page.get_by_role("link", name="Pictures").click()
    page.set_input_files(PICTURES, yes_and_no["yes"][0])
    page.locator("table.bars").wait_for()


def test_a_full_storage_loses_nothing_unsaid(
    visit_device: Open, yes_and_no: dict[str, list[Path]]
) -> None:
    page = visit_device("person")
    session = page.context.new_cdp_session(page)
    origin = page.evaluate("location.origin")
    session.send("Storage.overrideQuotaForOrigin", {"origin": origin, "quotaSize": 150_000})
    begin(page, "Ann")
    page.get_by_label("What they show").fill("yes")
    page.get_by_test_id("samples").set_input_files(yes_and_no["yes"])
    expect(page.locator("p.problem")).to_contain_text("is full, and this was not kept")
    assert kept(page)["samples"] == 0, "all of them or none"
    session.send("Storage.overrideQuotaForOrigin", {"origin": origin})
    add(page, yes_and_no)
    learn(page)


def test_a_word_that_is_none_and_a_word_shown_once(
    visit_device: Open, yes_and_no: dict[str, list[Path]], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    page = visit_device("person")
    begin(page, "Ann")
    page.get_by_label("What they show").fill("face")
    page.get_by_test_id("samples").set_input_files(tmp_path / "broken.png")
    expect(page.locator("p.problem")).to_contain_text("This can be no word to learn.")
    page.get_by_label("What they show").fill("yes")
    page.get_by_test_id("samples").set_input_files(tmp_path / "broken.png")
    expect(page.locator("main").get_by_text("Samples taken: 0. Left out: 1")).to_be_visible()
    expect(page.get_by_role("button", name="Learn from the samples")).to_be_disabled()
    add(page, {label: files[:1] for label, files in yes_and_no.items()})
    page.get_by_role("button", name="Learn from the samples").click()
    expect(page.locator("p.problem")).to_contain_text("each word was shown once only")
    expect(page.locator("main").get_by_text("Try it", exact=True)).to_be_visible()


def test_answers_are_explained_in_the_browser(visit_device: Open, portrait_png: Path) -> None:
    page = visit_device()
    page.set_input_files(PICTURES, portrait_png)
    page.locator("table.bars").wait_for()
    page.get_by_label("Show where the model looked").check()
    heat = page.get_by_role("img", name="Where it saw: happiness >99%")
    heat.wait_for()
    expect(page.get_by_role("img", name="Face 1", exact=True)).to_be_visible()
    assert hottest(heat.evaluate(PIXELS)) == pytest.approx(pythons_hottest(portrait_png), abs=0.1)
    page.get_by_label("What speaks for").select_option("sadness")
    page.get_by_role("img", name="Where it saw: sadness").wait_for()


PIXELS = """canvas => {
  const {width, height} = canvas;
  return Array.from(canvas.getContext("2d").getImageData(0, 0, width, height).data);
}"""


def hottest(rgba: list[int]) -> tuple[float, float]:
    """Where a heated face is least gray: x and y from 0 to 1."""
    side = round((len(rgba) / 4) ** 0.5)
    rgb = np.array(rgba, float).reshape(side, side, 4)[..., :3]
    heat = rgb[..., 0] - rgb[..., 2]
    return centre(np.maximum(heat, 0) ** 4)


def pythons_hottest(path: Path) -> tuple[float, float]:
    analyzer = mien.Analyzer()
    frame = mien.Frame(image.read_file(path))
    (face,) = analyzer.analyze_frame(frame)
    from mien.expression import explain

    (told,) = explain.explain(Explainer(analyzer.recognizer), frame, face)
    return centre(told.heat.astype(float) ** 4)


def centre(weights: Any) -> tuple[float, float]:
    y, x = np.mgrid[: len(weights), : len(weights)]
    total = weights.sum() * len(weights)
    return float((weights * x).sum() / total), float((weights * y).sum() / total)


def test_no_view_of_one_s_own_breaks_a_rule_of_accessibility(
    visit_device: Open, yes_and_no: dict[str, list[Path]]
) -> None:
    page = visit_device("person")
    assert violations(page) == []
    begin(page, "Ann")
    add(page, yes_and_no)
    learn(page)
    page.get_by_test_id("try").set_input_files(yes_and_no["no"][2])
    page.locator(".face table.bars").wait_for()
    assert violations(page) == []
    page.get_by_role("link", name="Pictures").click()
    page.get_by_label("Read by").select_option("Ann")
    page.set_input_files(PICTURES, yes_and_no["no"][2])
    page.locator("table.bars").wait_for()
    page.get_by_label("Show where the model looked").check()
    page.get_by_role("img", name="Where it saw").wait_for()
    assert violations(page) == []
