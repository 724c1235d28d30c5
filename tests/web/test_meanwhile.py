"""What happens in the middle of something else: quick clicks, another view, place or language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from mien.face import ImageArray
from mien.service import server
from mien.service.keys import Keys
from mien.service.settings import ServiceSettings

from .conftest import Open
from .films import film
from .test_bad_input import read

FILES = "input[type=file]"
SLOWLY_ALLOWED = """
  const allowed = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.opened = [];
  navigator.mediaDevices.getUserMedia = async wanted => {
    await new Promise(resolve => setTimeout(resolve, 500));
    opened.push(await allowed(wanted));
    return opened.at(-1);
  };"""
NO_FRAME = """
  navigator.mediaDevices.getUserMedia = async () => {
    window.canvas = document.createElement("canvas");
    return canvas.captureStream(0);
  };"""
DROPPED = """({names, kind, on}) => {
  const carried = new DataTransfer();
  for (const name of names) carried.items.add(new File(["x"], name, {type: kind}));
  const how = {dataTransfer: carried, cancelable: true, bubbles: true};
  return !document.querySelector(on).dispatchEvent(new DragEvent("drop", how));
}"""


def latency(page: Page) -> str:
    return page.get_by_test_id("latency").inner_text()


def goes_on(page: Page) -> None:
    """New answers come."""
    before = latency(page)
    page.wait_for_function(
        "before => ![before, ''].includes("
        "document.querySelector('[data-testid=latency]').textContent)",
        arg=before,
    )


def view(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.locator("h1")).to_have_text(name)


def turn_on(page: Page) -> None:
    page.get_by_role("button", name="Turn the camera on").click()


# -- the camera -----------------------------------------------------------------------------------


def test_the_camera_goes_on_with_another_place_and_smoothing(visit: Open) -> None:
    page = visit("live")
    turn_on(page)
    page.locator("table.bars").wait_for()
    page.get_by_label("Evened out over time").click()
    goes_on(page)
    page.get_by_label("By the service").check(force=True)
    goes_on(page)
    page.get_by_label("On this device only").check(force=True)
    goes_on(page)
    expect(page.locator("table.bars tr.top")).to_contain_text("happiness")


def test_two_quick_clicks_open_one_camera_and_its_mark_says_so(visit_device: Open) -> None:
    page = visit_device("live", script=SLOWLY_ALLOWED)
    page.get_by_role("button", name="Turn the camera on").dblclick()
    page.locator("table.bars").wait_for()
    assert page.evaluate("opened.map(stream => stream.active)") == [False, True]
    expect(page.locator("footer .camera")).to_have_text("Camera on")
    page.get_by_role("button", name="Turn the camera off").click()
    expect(page.locator("footer .camera")).to_have_text("Camera off")
    assert page.evaluate("opened.map(stream => stream.active)") == [False, False]


def test_a_camera_that_is_allowed_once_its_view_is_left_stays_off(visit_device: Open) -> None:
    page = visit_device("live", script=SLOWLY_ALLOWED)
    turn_on(page)
    view(page, "Pictures")
    page.wait_for_function("() => opened.length")
    page.wait_for_timeout(300)
    assert page.evaluate("opened.map(stream => stream.active)") == [False]
    expect(page.locator("footer .camera")).to_have_text("Camera off")


def test_what_is_over_is_no_longer_told(visit: Open) -> None:
    page = visit("live", "service")
    page.route_web_socket("**/v1/stream*", lambda socket: socket.close())
    turn_on(page)
    problem = page.locator("p.problem")
    expect(problem).to_contain_text("The service does not answer.")
    page.get_by_label("On this device only").check(force=True)
    page.locator("table.bars").wait_for()
    expect(problem).to_have_count(0)
    page.get_by_label("By the service").check(force=True)
    expect(problem).to_contain_text("The service does not answer.")
    view(page, "Rules")
    expect(page.get_by_role("button", name="Turn the camera on")).to_be_visible()
    expect(problem).to_have_count(0)


# -- pictures -------------------------------------------------------------------------------------


def test_what_is_no_picture_is_left_out_by_name(
    visit_device: Open, portrait_png: Path, face_film: Path
) -> None:
    page = visit_device()
    page.set_input_files(FILES, [portrait_png, face_film])
    expect(page.locator("article")).to_have_count(1)
    expect(page.locator("p.problem")).to_have_text("No pictures, and left out: 1 (face.mp4).")


def test_a_file_that_is_dropped_beside_the_field_does_not_replace_the_page(
    visit_device: Open,
) -> None:
    page = visit_device()
    wanted = {"names": ["a.png", "b.png"], "kind": "image/png", "on": "footer"}
    assert page.evaluate(DROPPED, wanted) is True, "else the browser shows the file alone"
    expect(page.locator("article")).to_have_count(2)
    view(page, "Rules")
    assert page.evaluate(DROPPED, wanted) is True
    view(page, "Pictures")
    expect(page.locator("article")).to_have_count(2)


def test_pictures_stay_while_another_view_is_looked_at(visit: Open, portrait_png: Path) -> None:
    page = visit(place="service")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_input_files(FILES, portrait_png)
    page.locator("table.bars").wait_for()
    page.get_by_role("link", name="What it can and cannot know").click()
    expect(page.locator("h1")).to_have_text("About expressions")
    page.go_back()
    page.locator("article table.bars").wait_for()
    assert sum(url.endswith("/v1/analyze") for url in asked) == 1, "it was read before"


def test_nothing_is_on_its_way_once_no_picture_may_leave(
    visit: Open, portrait_png: Path, face_film: Path
) -> None:
    page = visit(place="service")
    held: list[Any] = []
    stopped: list[str] = []
    page.context.route("**/v1/analyze", lambda route: held.append(route))
    page.context.route("**/v1/videos?*", lambda route: held.append(route))
    page.on("requestfailed", lambda request: stopped.append(request.url))
    page.set_input_files(FILES, [portrait_png, portrait_png])
    expect(page.locator("[aria-busy=true]")).to_have_count(2)
    view(page, "Film")
    read(page, face_film)
    expect(page.locator("main").get_by_text("Sending")).to_be_visible()
    while len(held) < 3:
        page.wait_for_timeout(50)
    page.get_by_label("On this device only").check(force=True)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    routes = [url.split("/v1/")[1].split("?")[0] for url in stopped if "/v1/" in url]
    assert sorted(routes) == ["analyze", "analyze", "videos"]
    expect(page.locator("p.problem")).to_have_count(0)
    view(page, "Pictures")
    expect(page.locator("article table.bars")).to_have_count(2)


def test_a_key_has_everything_asked_again(visit: Open, portrait_png: Path, tmp_path: Path) -> None:
    secret = Keys(tmp_path).add("clinic", 600, 16)
    with server.running(ServiceSettings(port=0, home=tmp_path)) as at:
        for place, name in (("service", "picture"), ("service", "person"), ("device", "models")):
            page = visit(name, place, at=at)
            if name == "picture":
                page.set_input_files(FILES, portrait_png)
            field = page.get_by_label("This service needs a key.")
            expect(page.locator("p.problem").first).to_contain_text("This service needs a key.")
            field.fill("another")
            field.press("Enter")
            expect(field).to_have_value("")
            field.fill(secret)
            field.press("Enter")
            expect(page.locator("p.problem")).to_have_count(0)
            page.context.close()


# -- films ----------------------------------------------------------------------------------------


def lying(path: Path, portrait: ImageArray) -> Path:
    """A film that a telephone takes upright: its frames lie, and its head says how to turn them."""
    upright = portrait[:, 60:444]
    turned = np.ascontiguousarray(np.rot90(upright))
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=5)
        stream.height, stream.width = turned.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.set_display_rotation(-90)
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(turned, format="rgb24")
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    return path


def test_a_film_that_was_taken_upright_is_read_upright(
    visit_device: Open, astronaut: ImageArray, tmp_path: Path
) -> None:
    page = visit_device("film")
    read(page, lying(tmp_path / "telephone.mp4", astronaut))
    page.get_by_label("Format").select_option("jsonl")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    record = json.loads(download.value.path().read_text().splitlines()[0])
    assert (record["width"], record["height"]) == (384, 512), "as the player shows it"
    (face,) = record["faces"]
    x0, y0, x1, y1 = face["box"]
    assert 90 < (x0 + x1) / 2 < 240
    assert 60 < (y0 + y1) / 2 < 180


def test_another_film_has_nothing_of_the_one_before(
    visit_device: Open, astronaut: ImageArray, face_film: Path, tmp_path: Path
) -> None:
    long = film(tmp_path / "long.mp4", astronaut, "libx264", seconds=30)
    # Every frame is told at once, so that one comes after the film was exchanged.
    hurried = "const now = performance.now.bind(performance); let n = 0;"
    page = visit_device("film", script=f"{hurried} performance.now = () => now() + 500 * n++;")
    read(page, long, "25")
    page.locator("section", has_text="Episodes").wait_for()
    page.set_input_files(FILES, face_film)
    page.wait_for_timeout(1000)
    expect(page.locator("section", has_text="Episodes")).to_have_count(0)
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_several_films_are_not_left_out_unsaid(visit_device: Open) -> None:
    page = visit_device("film")
    wanted = {"names": ["a.mp4", "b.mp4", "c.mp4"], "kind": "video/mp4", "on": ".drop"}
    page.evaluate(DROPPED, wanted)
    expect(page.locator("p.problem").first).to_have_text(
        "One film is read at a time. Left out: 2 (b.mp4, c.mp4)."
    )


@pytest.mark.parametrize("place", ["device", "service"])
def test_a_film_is_read_while_another_view_is_looked_at(
    visit: Open, astronaut: ImageArray, tmp_path: Path, place: str
) -> None:
    long = film(tmp_path / "long.mp4", astronaut, "libx264", seconds=12, fps=25)
    page = visit("film", place)
    read(page, long)
    page.get_by_role("progressbar").wait_for()
    expect(page.locator("main").get_by_text("Reading")).to_be_visible()
    view(page, "About expressions")
    page.wait_for_timeout(1500)
    view(page, "Film")
    expect(page.locator("section", has_text="Episodes")).to_contain_text("happiness")
    page.get_by_role("button", name="Save").wait_for()


def test_a_job_of_the_service_s_ends_where_it_is_stopped(
    visit: Open, astronaut: ImageArray, tmp_path: Path
) -> None:
    long = film(tmp_path / "long.mp4", astronaut, "libx264", seconds=60, fps=25)
    page = visit("film", "service")
    read(page, long, "25")
    expect(page.locator("main").get_by_text("left", exact=False).first).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    kept = page.locator("section", has_text="Films at the service")
    expect(kept.locator("tbody tr").first).to_contain_text("stopped")


# -- sessions, rules, languages -------------------------------------------------------------------


def begin_session(page: Page) -> None:
    page.get_by_label("Whose recogniser").fill("Ann")
    page.get_by_label("Who agrees, and for whom").fill("Ann, for herself")
    page.get_by_role("button", name="Begin", exact=True).click()
    page.get_by_label("Words or expressions").fill("yes, no")


def test_what_a_session_took_stays_until_it_is_kept(visit_device: Open) -> None:
    page = visit_device("person", script=SLOWLY_ALLOWED)
    begin_session(page)
    page.get_by_role("button", name="Begin the session").dblclick()
    expect(page.locator(".showing").get_by_text("The camera is taking pictures.")).to_be_visible()
    expect(page.locator("footer .camera")).to_have_text("Camera on")
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="End here").click()
    sheet = page.locator("ul.sheet li")
    sheet.first.wait_for()
    taken = sheet.count()
    view(page, "About expressions")
    view(page, "My own recogniser")
    expect(sheet).to_have_count(taken)
    page.get_by_role("button", name="Delete all of it").click()
    page.get_by_role("button", name="Yes, delete").click()
    begin_session(page)
    expect(sheet).to_have_count(0)


def test_a_low_screen_shows_how_long_a_word_lasts(visit_device: Open) -> None:
    page = visit_device("person", viewport={"width": 640, "height": 400})
    begin_session(page)
    page.get_by_role("button", name="Begin the session").click()
    expect(page.locator(".showing").get_by_text("The camera is taking pictures.")).to_be_visible()
    box = page.locator(".lasting span").bounding_box()
    assert box is not None
    assert box["height"] == 8
    page.get_by_role("button", name="End here").click()


def test_a_session_whose_camera_sends_nothing_can_be_ended(visit_device: Open) -> None:
    page = visit_device("person", script=NO_FRAME)
    begin_session(page)
    page.get_by_role("button", name="Begin the session").click()
    page.get_by_role("button", name="End here").click()
    expect(page.locator(".showing")).to_have_count(0)
    expect(page.locator("p.problem")).to_have_text("The session is over: 0 pictures.")
    expect(page.locator("footer .camera")).to_have_text("Camera off")


def test_a_rule_for_somebody_whom_the_other_place_does_not_know(visit: Open) -> None:
    ann = {"name": "Ann", "samples": {"yes": 3, "no": 3}, "recogniser": ["head"], "consents": []}
    page = visit("rules", "service")
    page.context.route("**/v1/persons", lambda route: route.fulfill(json={"persons": [ann]}))
    page.reload()
    page.get_by_label("Whose face").select_option("Ann")
    expect(page.get_by_label("When")).to_have_value("yes")
    page.get_by_label("On this device only").check(force=True)
    expect(page.get_by_label("When")).to_have_value("happiness")
    turn_on(page)
    page.locator("table.bars").wait_for()
    expect(page.get_by_test_id("alarm")).to_contain_text("happiness")
    expect(page.locator("p.problem")).to_have_count(0)


def test_a_problem_is_told_in_the_language_that_is_chosen(
    visit_device: Open, tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    page = visit_device()
    page.set_input_files(FILES, tmp_path / "empty.jpg")
    problem = page.locator("article p.problem")
    expect(problem).to_contain_text("This browser cannot decode this picture")
    page.locator("select").first.select_option("de")
    expect(problem).to_contain_text("Dieser Browser kann dieses Bild nicht entschlüsseln")


def test_a_model_s_card_is_as_wide_as_a_telephone(visit_device: Open) -> None:
    page = visit_device("models", viewport={"width": 390, "height": 844})
    page.locator("article").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
