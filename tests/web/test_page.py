"""The page in a real browser: what people see, and what leaves the machine."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

import mien
from mien.alarms import rules
from mien.face import ImageArray
from mien.results import summary
from mien.service import server
from mien.service.keys import Keys
from mien.service.settings import ServiceSettings

from .conftest import Log, Open

PICTURES = "input[type=file]"


def percent(text: str) -> float:
    return float(text.strip("<>% ")) / 100


def figures(page: Page) -> dict[str, float]:
    """The probabilities of the first face that is shown."""
    rows = page.locator("table.bars:not(.tested)").first.locator("tbody tr").all()
    return {
        r.locator("th").inner_text(): percent(r.locator(".figure").first.inner_text()) for r in rows
    }


# -- pictures -------------------------------------------------------------------------------------


def test_pictures_are_read_on_the_device_and_none_leaves_it(
    visit_device: Open, portrait_png: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "nobody.jpg")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    page = visit_device()
    page.set_input_files(PICTURES, [portrait_png, tmp_path / "nobody.jpg", tmp_path / "broken.png"])
    expect(page.locator("article")).to_have_count(3)
    expect(page.locator("main").get_by_text("No face was found.")).to_be_visible()
    expect(
        page.locator("main").get_by_text("This browser cannot decode this picture")
    ).to_be_visible()
    expect(page.get_by_role("button", name="Have the service read it")).to_be_visible()
    (face,) = mien.Analyzer().analyze(portrait_png)
    assert face.emotions is not None
    told = figures(page)
    assert list(told) == list(face.emotions.label_set.labels)
    for name, probability in zip(told, face.emotions.probs, strict=True):
        assert abs(told[name] - probability) < 0.011
    box = page.locator("svg.boxes rect.over").first
    x, y, width = (float(box.get_attribute(name) or 0) for name in ("x", "y", "width"))
    x0, y0, x1, _ = face.box
    assert (x, y, width) == pytest.approx((x0, y0, x1 - x0), abs=2)
    expect(page.get_by_test_id("said")).not_to_be_empty()
    page.get_by_role("button", name="Remove: broken.png").click()
    expect(page.locator("article")).to_have_count(2)


def test_the_service_reads_them_and_shows_where_it_looked(
    visit: Open, portrait_png: Path, log: Log
) -> None:
    page = visit()
    page.set_input_files(PICTURES, portrait_png)
    page.locator("table.bars").wait_for()
    page.get_by_label("Show where the model looked").check()
    page.get_by_role("img", name="Where it saw").wait_for()
    assert log.sent == []
    page.get_by_label("By the service").check(force=True)
    drawn = page.get_by_alt_text("Each face, and over it")
    drawn.wait_for()
    assert figures(page)["happiness"] > 0.9
    with page.expect_response(lambda answer: "emotion=surprise" in answer.url):
        page.get_by_label("What speaks for").select_option("surprise")
    drawn.wait_for()
    assert sorted(one.split("/v1/")[1] for one in log.sent) == [
        "analyze",
        "explain?emotion=surprise",
        "explain?emotion=top",
    ]


def test_a_picture_is_pasted_and_dropped(visit_device: Open, portrait_png: Path) -> None:
    page = visit_device()
    content = list(portrait_png.read_bytes())
    page.evaluate(
        """(content) => {
          const file = () => new File([new Uint8Array(content)], "a.png", {type: "image/png"});
          const carried = new DataTransfer();
          carried.items.add(file());
          dispatchEvent(new ClipboardEvent("paste", {clipboardData: carried}));
          const how = {dataTransfer: carried, cancelable: true, bubbles: true};
          document.querySelector(".drop").dispatchEvent(new DragEvent("drop", how));
        }""",
        content,
    )
    expect(page.locator("article table.bars")).to_have_count(2)


def test_a_picture_of_a_hundred_megapixels_is_told_in_words(
    visit_device: Open, tmp_path: Path
) -> None:
    Image.new("L", (10_000, 10_000)).save(tmp_path / "huge.png")
    page = visit_device()
    page.set_input_files(PICTURES, tmp_path / "huge.png")
    expect(page.locator("article p.problem")).to_contain_text(
        "The picture has 100 megapixels; up to 50 can be read."
    )


def test_a_service_that_is_gone_is_told_and_comes_back(
    visit: Open, portrait_png: Path, log: Log
) -> None:
    page = visit(place="service")
    page.context.route("**/v1/analyze", lambda route: route.abort())
    page.set_input_files(PICTURES, portrait_png)
    expect(page.locator("main").get_by_text("The service does not answer").first).to_be_visible()
    page.context.unroute("**/v1/analyze")
    page.set_input_files(PICTURES, portrait_png)
    page.locator("table.bars").wait_for()
    expect(page.locator("p.banner")).to_have_count(0)


# -- the camera -----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["device", "service"])
def test_the_camera_is_read_live(visit: Open, log: Log, place: str) -> None:
    page = visit("live", place)
    mark = page.locator("footer .camera")
    expect(mark).to_have_text("Camera off")
    page.get_by_role("button", name="Turn the camera on").click()
    expect(mark).to_have_text("Camera on")
    expect(page.get_by_test_id("said")).to_have_text("happiness")
    assert figures(page)["happiness"] > 0.9
    expect(page.get_by_test_id("latency")).to_contain_text("from a frame to its answer")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save these figures (CSV)").click()
    rows = list(csv.DictReader(io.StringIO(saved.value.path().read_text("utf-8-sig"))))
    assert len(rows) > 3
    assert {row["track"] for row in rows} == {"1"}
    assert all(float(row["happiness"]) > 0.5 for row in rows)
    page.get_by_role("button", name="Turn the camera off").click()
    expect(mark).to_have_text("Camera off")
    assert log.sent == []
    assert len(log.sockets) == (place == "service")


FAILING = (
    "navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{}') }};"
)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NotAllowedError", "The camera was refused."),
        ("NotFoundError", "No camera was found."),
        ("NotReadableError", "Another program has the camera."),
    ],
)
def test_a_camera_that_cannot_be_had(visit_device: Open, name: str, said: str) -> None:
    page = visit_device("live", script=FAILING.format(name))
    page.get_by_role("button", name="Turn the camera on").click()
    expect(page.locator("p.problem")).to_contain_text(said)
    expect(page.locator("footer .camera")).to_have_text("Camera off")
    expect(page.get_by_role("button", name="Turn the camera on")).to_be_visible()


def test_a_camera_that_is_unplugged(visit_device: Open) -> None:
    page = visit_device("live")
    page.get_by_role("button", name="Turn the camera on").click()
    page.locator("table.bars").wait_for()
    page.evaluate(
        """() => document.querySelector("video").srcObject.getVideoTracks()
                 .forEach(track => track.dispatchEvent(new Event("ended")))"""
    )
    expect(page.locator("p.problem")).to_contain_text("The camera went away.")
    expect(page.locator("footer .camera")).to_have_text("Camera off")


def test_a_camera_that_sends_nothing_for_a_while(visit_device: Open) -> None:
    """Its cover is shut, or it is taken for a call: browsers mute its track, and no more."""
    page = visit_device("live")
    page.get_by_role("button", name="Turn the camera on").click()
    page.locator("table.bars").wait_for()
    problem = page.locator("p.problem")
    for event, told in (("mute", 1), ("unmute", 0), ("mute", 1)):
        page.evaluate(
            """event => document.querySelector("video").srcObject.getVideoTracks()
                         .forEach(track => track.dispatchEvent(new Event(event)))""",
            event,
        )
        expect(problem).to_have_count(told)
    expect(problem).to_contain_text("The camera sends no pictures at the moment.")
    page.get_by_role("button", name="Turn the camera off").click()
    expect(problem).to_have_count(0)


def test_a_service_with_keys_is_asked_with_one(
    visit: Open, portrait_png: Path, tmp_path: Path
) -> None:
    secret = Keys(tmp_path).add("clinic", 600, 16)
    with server.running(ServiceSettings(port=0, home=tmp_path)) as at:
        page = visit("live", "service", at=at)
        page.get_by_role("button", name="Turn the camera on").click()
        field = page.get_by_label("This service needs a key.")
        field.fill(secret)
        field.press("Enter")
        expect(field).to_have_count(0)
        page.locator("table.bars").wait_for()
        page.get_by_role("button", name="Turn the camera off").click()
        page.get_by_role("link", name="Pictures").click()
        page.set_input_files(PICTURES, portrait_png)
        page.locator("table.bars").wait_for()
        page.context.close()


# -- films ----------------------------------------------------------------------------------------


def test_a_film_is_read_on_the_device(visit_device: Open, face_film: Path, tmp_path: Path) -> None:
    page = visit_device("film")
    page.set_input_files(PICTURES, face_film)
    page.get_by_label("Frames a second").select_option("5")
    page.get_by_role("button", name="Read the film").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save").click()
    records = tmp_path / "film.csv"
    saved.value.save_as(records)
    (read,) = summary.read(records)
    assert len(read.times) == 20
    (expected,) = summary.episodes(read, read.tracks[1])
    row = page.locator("section", has_text="Episodes").locator("tbody tr")
    assert [cell.inner_text().strip() for cell in row.locator("th, td").all()] == [
        expected.label,
        f"0:{expected.onset_s:04.1f}",
        f"0:{expected.offset_s:04.1f}",
        ">99%",
    ]
    over = page.get_by_role("slider")
    over.focus()
    page.keyboard.press("End")
    expect(over).to_have_accessible_name("Over time: No face was found.")
    page.keyboard.press("Home")
    expect(over).to_have_accessible_name("Over time: happiness >99%")
    assert page.evaluate("document.querySelector('video').currentTime") == 0


def test_a_film_that_no_browser_plays_is_the_service_s(
    visit: Open, undecodable_film: Path, log: Log
) -> None:
    page = visit("film")
    page.set_input_files(PICTURES, undecodable_film)
    page.get_by_role("button", name="Read the film").click()
    expect(
        page.locator("main").get_by_text("This browser cannot decode this film.")
    ).to_be_visible()
    assert log.sent == []
    page.get_by_role("button", name="Have the service read it").click()
    page.get_by_role("button", name="Read the film").click()
    expect(page.locator("section", has_text="Episodes")).to_contain_text("happiness")
    page.get_by_label("Format").select_option("jsonl")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save").click()
    lines = saved.value.path().read_text().splitlines()
    assert len(lines) == 10
    assert json.loads(lines[0])["source"] == "old.mp4"
    kept = page.locator("section", has_text="Films at the service")
    kept.get_by_role("button", name="Delete").click()
    expect(kept).to_have_count(0)


# -- somebody's own -------------------------------------------------------------------------------


def test_somebody_s_own_from_consent_to_deletion(
    visit: Open, portrait_png: Path, astronaut: ImageArray, tmp_path: Path
) -> None:
    for label, dark in (("yes", 1), ("no", 2)):
        for i in range(2):
            woman = astronaut[20:240, 120:340] // dark - i
            Image.fromarray(woman).save(tmp_path / f"{label}{i}.png")
    page = visit("person", "service")
    page.get_by_label("Whose recogniser").fill("Ann")
    page.get_by_label("Who agrees, and for whom").fill("Ann, for herself")
    page.get_by_role("button", name="Begin", exact=True).click()
    expect(page.locator("main").get_by_text("Consent: Ann, for herself")).to_be_visible()
    for label in ("yes", "no"):
        page.get_by_label("What they show").fill(label)
        page.get_by_test_id("samples").set_input_files(sorted(tmp_path.glob(f"{label}?.png")))
        expect(page.locator(".chips")).to_contain_text(f"{label} 2")
    page.get_by_role("button", name="Learn from the samples").click()
    expect(page.locator("main").get_by_text("How many it gets right")).to_be_visible()
    expect(page.locator("main").get_by_text("On 4 samples of 4 stimuli")).to_be_visible()
    expect(
        page.locator("main").get_by_text("The general model knows no such words")
    ).to_be_visible()
    expect(page.locator("main")).to_contain_text(re.compile("It (tells|does not tell) them apart"))
    page.get_by_test_id("try").set_input_files(tmp_path / "no0.png")
    page.locator(".face table.bars").wait_for()
    rows = page.locator(".face table.bars tbody th").all_inner_texts()
    assert sorted(rows) == ["no", "yes"]
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save all that is kept").click()
    assert saved.value.suggested_filename == "Ann.zip"
    page.get_by_role("button", name="Delete all of it").click()
    page.get_by_role("button", name="Yes, delete").click()
    expect(page.get_by_role("button", name="Ann")).to_have_count(0)


def test_a_session_takes_pictures_and_sends_what_was_kept(visit: Open, log: Log) -> None:
    page = visit("person", "service")
    page.clock.install()
    page.get_by_label("Whose recogniser").fill("Bo")
    page.get_by_label("Who agrees, and for whom").fill("Bo, for himself")
    page.get_by_role("button", name="Begin", exact=True).click()
    page.get_by_label("Words or expressions").fill("yes, no")
    page.get_by_label("Each so many times").select_option("2")
    page.get_by_role("button", name="Begin the session").click()
    expect(page.locator("footer .camera")).to_have_text("Camera on")
    expect(page.locator(".showing .word")).to_have_text("yes")
    sheet = page.locator("ul.sheet li")
    for _ in range(200):
        if sheet.count():
            break
        page.clock.run_for(350)
    expect(page.locator("footer .camera")).to_have_text("Camera off")
    taken = sheet.count()
    assert taken >= 8
    before = len(log.sent)
    sheet.first.get_by_role("checkbox").uncheck()
    page.get_by_role("button", name=f"Send and keep {taken - 1}").click()
    expect(page.locator("main").get_by_text("Samples taken:")).to_be_visible()
    assert len(log.sent) - before == 4, "one request for each stimulus"
    assert all("shown=" in one for one in log.sent[before:])


# -- rules ----------------------------------------------------------------------------------------


def test_a_rule_is_tried_out_and_saved(visit_device: Open, tmp_path: Path) -> None:
    spoken = """window.said = [];
      speechSynthesis.speak = one => said.push([one.text, one.lang]);
      window.tones = 0;
      const start = OscillatorNode.prototype.start;
      OscillatorNode.prototype.start = function () { tones++; start.call(this); };"""
    page = visit_device("rules", script=spoken)
    page.get_by_label("say", exact=True).fill('She is "smiling"')
    page.get_by_role("button", name="Turn the camera on").click()
    alarm = page.get_by_test_id("alarm")
    expect(alarm).to_contain_text('She is "smiling"')
    expect(alarm).to_contain_text("alarms so far: 1")
    assert page.evaluate("said") == [['She is "smiling"', "en"]]
    assert page.evaluate("tones") == 1
    page.get_by_label("When").select_option("anger")
    expect(alarm).to_contain_text("quiet")
    page.get_by_label("shows from").fill("0.3")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as rules.toml").click()
    (rule,) = rules.read(saved.value.path()).rules
    assert (rule.when, rule.above, rule.release, rule.hold_s) == ("anger", 0.3, 0.15, 1.0)
    assert rule.say == 'She is "smiling"'


# -- for people -----------------------------------------------------------------------------------


def test_every_language_and_its_direction(visit_device: Open, portrait_png: Path) -> None:
    page = visit_device(locale="de-DE")
    expect(page.locator("h1")).to_have_text("Bilder")
    page.set_input_files(PICTURES, portrait_png)
    page.locator("table.bars").wait_for()
    expect(page.locator("table.bars tbody tr.top")).to_contain_text("Freude")
    for tag, title, direction in (("es", "Imágenes", "ltr"), ("ar", "الصور", "rtl")):
        page.locator("select").first.select_option(tag)
        expect(page.locator("h1")).to_have_text(title)
        assert page.evaluate("document.documentElement.dir") == direction
        assert page.evaluate("document.documentElement.lang") == tag
    page.reload()
    expect(page.locator("h1")).to_have_text("الصور")


def test_a_keyboard_goes_everywhere(visit_device: Open) -> None:
    page = visit_device()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Camera")
    expect(page.locator("h1")).to_be_focused()


def test_it_works_offline_after_the_first_visit(visit_device: Open, portrait_png: Path) -> None:
    page = visit_device()
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.context.set_offline(True)
    page.reload()
    page.set_input_files(PICTURES, portrait_png)
    page.locator("table.bars").wait_for()
    assert figures(page)["happiness"] > 0.9
    page.goto(page.url.split("#")[0] + "#models")
    expect(page.locator("p.problem")).to_contain_text("The service does not answer.")


def test_it_can_be_installed(visit_device: Open) -> None:
    page = visit_device()
    session = page.context.new_cdp_session(page)
    told = session.send("Page.getAppManifest")
    assert told["errors"] == []
    manifest = json.loads(told["data"])
    assert manifest["display"] == "standalone"
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [one["errorId"] for one in errors] in ([], ["in-incognito"])


def test_it_is_isolated_so_that_the_networks_get_threads(visit_device: Open) -> None:
    assert visit_device().evaluate("crossOriginIsolated") is True


# -- accessibility --------------------------------------------------------------------------------


RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA (colours: light and dark), each with an element."""
    found = []
    schemes: list[tuple[Literal["light", "dark"], list[str]]]
    schemes = [("dark", ["color-contrast"]), ("light", RULES)]
    for scheme, chosen in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += Axe().run(page, options={"runOnly": chosen}).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


def test_no_view_breaks_a_rule_of_accessibility(
    visit: Open, portrait_png: Path, face_film: Path
) -> None:
    page = visit("about")
    assert violations(page) == []
    page.goto(page.url.replace("#about", "#picture"))
    page.set_input_files(PICTURES, portrait_png)
    page.locator("table.bars").wait_for()
    page.get_by_label("Show where the model looked").check()
    assert violations(page) == []
    page.goto(page.url.replace("#picture", "#live"))
    page.get_by_role("button", name="Turn the camera on").click()
    page.locator("table.bars").wait_for()
    assert violations(page) == []
    page.goto(page.url.replace("#live", "#film"))
    page.set_input_files(PICTURES, face_film)
    page.get_by_label("Frames a second").select_option("2")
    page.get_by_role("button", name="Read the film").click()
    page.get_by_role("button", name="Save").wait_for()
    assert violations(page) == []
    page.goto(page.url.replace("#film", "#rules"))
    page.get_by_label("say", exact=True).wait_for()
    assert violations(page) == []
    page.goto(page.url.replace("#rules", "#models"))
    page.locator("article").wait_for()
    assert violations(page) == []
    page.goto(page.url.replace("#models", "#person"))
    assert violations(page) == []
    page.get_by_label("By the service").check(force=True)
    page.get_by_label("Whose recogniser").fill("Cy")
    page.get_by_label("Who agrees, and for whom").fill("themselves")
    page.get_by_role("button", name="Begin", exact=True).click()
    page.get_by_role("button", name="Begin the session").wait_for()
    assert violations(page) == []
