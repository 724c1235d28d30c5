"""What goes wrong around the page: services, files, storage, sleep, memory."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from mien.face import ImageArray
from tests.servers import free_port

from ..media.test_image import HEIC
from .conftest import Log, Open
from .films import SIZE, film
from .services import renewed, service

PATIENCE_S = 30
FILES = "input[type=file]"
AWAY = "The service does not answer."
OTHER = "The service answers otherwise than this page expects"
NEWER = "A newer version of this page is here."


def script(page: Page) -> str:
    """The name of the page's script, which tells what is in it."""
    return page.locator("script[type=module]").get_attribute("src") or ""


def kept_offline(page: Page) -> None:
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")


def live(page: Page) -> None:
    page.get_by_role("button", name="Turn the camera on").click()
    page.locator("table.bars").wait_for()


def saved(page: Page) -> list[dict[str, str]]:
    """The rows of the last minute's figures."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save these figures (CSV)").click()
    return list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))


def read(page: Page, path: Path, fps: str = "5") -> None:
    page.set_input_files(FILES, path)
    page.get_by_label("Frames a second").select_option(fps)
    page.get_by_role("button", name="Read the film").click()


# -- services -------------------------------------------------------------------------------------


def test_an_old_page_meets_a_new_service_and_a_new_page_an_old_one(
    visit: Open, portrait_png: Path, tmp_path: Path
) -> None:
    port, newer = free_port(), renewed(tmp_path / "newer")
    with service(port, tmp_path) as at:
        page = visit(place="service", at=at)
        kept_offline(page)
        old = script(page)
    with service(port, tmp_path, newer):
        page.set_input_files(FILES, portrait_png)
        expect(page.locator("article p.problem")).to_contain_text(OTHER)
        expect(page.locator("p.banner")).to_contain_text(NEWER)
        page.get_by_role("button", name="Reload").click()
        expect(page.locator("script[type=module]")).to_have_attribute(
            "src", "./assets/index-another.js"
        )
        page.wait_for_function("caches.keys().then(all => all.join().includes('another'))")
        expect(page.locator("p.banner")).to_have_count(0)
    with service(port, tmp_path):
        page.reload()
        assert script(page) == old
        page.set_input_files(FILES, portrait_png)
        page.locator("table.bars").wait_for()
        expect(page.locator("p.banner")).to_have_count(0)


def test_a_service_that_is_killed_while_the_camera_is_read(visit: Open, tmp_path: Path) -> None:
    port = free_port()
    with service(port, tmp_path) as at:
        page = visit("live", "service", at=at)
        live(page)
    expect(page.locator("p.problem")).to_contain_text(AWAY)
    expect(page.locator("footer .camera")).to_have_text("Camera on")
    with service(port, tmp_path):
        expect(page.locator("p.problem")).to_have_count(0)
        expect(page.locator("p.banner")).to_have_count(0)
        page.wait_for_timeout(500)
        frames = [int(row["frame"]) for row in saved(page)]
        page.get_by_role("button", name="Turn the camera off").click()
    assert frames == list(range(len(frames))), "what was read before is there still"


def test_a_service_that_is_killed_while_a_film_is_sent(
    visit: Open, face_film: Path, tmp_path: Path
) -> None:
    port = free_port()
    with service(port, tmp_path) as at:
        page = visit("film", "service", at=at)
        line = page.context.new_cdp_session(page)
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
        line.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": 100_000})
        read(page, face_film)
        expect(page.locator("main").get_by_text("Sending")).to_be_visible()
    expect(page.locator("p.problem").first).to_contain_text(AWAY)
    line.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    with service(port, tmp_path):
        page.get_by_role("button", name="Read the film").click()
        expect(page.locator("section", has_text="Episodes")).to_contain_text("happiness")
        expect(page.locator("p.problem")).to_have_count(0)


def test_a_service_that_is_gone_and_back_while_it_reads_a_film(
    visit: Open, astronaut: ImageArray, tmp_path: Path
) -> None:
    long = film(tmp_path / "long.mp4", astronaut, "libx264", seconds=60, fps=25)
    port = free_port()
    with service(port, tmp_path, gently=True) as at:
        page = visit("film", "service", at=at)
        read(page, long, "25")
        expect(page.locator("main").get_by_text("left")).to_be_visible()
    expect(page.locator("p.banner")).to_contain_text(AWAY)
    expect(page.get_by_role("progressbar")).to_be_visible()
    with service(port, tmp_path, gently=True):
        episodes = page.locator("section", has_text="Episodes")
        # The whole film, begun anew: on a busy machine that takes its time.
        expect(episodes).to_contain_text("happiness", timeout=180_000)
        expect(page.locator("p.banner")).to_have_count(0)
        expect(page.locator("section", has_text="Films at the service")).to_contain_text("read")


def test_a_proxy_that_answers_in_place_of_the_service(visit: Open, face_film: Path) -> None:
    page = visit("film", "service")
    html = {"status": 502, "content_type": "text/html", "body": "<h1>Bad gateway</h1>"}
    page.context.route("**/v1/videos?name=*", lambda route: route.fulfill(**html))
    page.context.route("**/v1/videos?*name=*", lambda route: route.fulfill(**html))
    read(page, face_film)
    expect(page.locator("p.problem")).to_contain_text("The service failed at this. (502)")
    page.context.route(
        "**/v1/models", lambda route: route.fulfill(status=200, body="<h1>Log in</h1>")
    )
    waiting: list[Route] = []
    page.context.route("**/v1/models/*", lambda route: waiting.append(route))
    page.goto(page.url.replace("#film", "#models"))
    expect(page.locator("p.problem")).to_contain_text(OTHER)
    waiting[0].continue_()  # the card comes, and says nothing of the list
    expect(page.locator("article.card")).to_be_visible()
    expect(page.locator("p.problem")).to_contain_text(OTHER)


# -- files ----------------------------------------------------------------------------------------


def test_a_picture_of_a_hundred_megapixels_is_refused_by_the_service_too(
    visit: Open, tmp_path: Path
) -> None:
    Image.new("L", (10_000, 10_000)).save(tmp_path / "huge.png")
    page = visit(place="service")
    page.set_input_files(FILES, tmp_path / "huge.png")
    expect(page.locator("article p.problem")).to_contain_text("pixels")


def test_heic_is_the_service_s_to_read(visit: Open, tmp_path: Path, log: Log) -> None:
    pytest.importorskip("pi_heif")
    (tmp_path / "phone.heic").write_bytes(base64.b64decode(HEIC))
    page = visit()
    page.set_input_files(FILES, tmp_path / "phone.heic")
    article = page.locator("article")
    expect(article).to_contain_text("This browser cannot decode this picture")
    expect(article).to_contain_text("This browser cannot show this picture.")
    assert log.sent == []
    page.get_by_role("button", name="Have the service read it").click()
    expect(article).to_contain_text("No face was found.")


def in_halves(path: Path, out: Path) -> Path:
    """The first half of a film's file, whose head says how long it was: a copy that broke off."""
    with av.open(str(path)) as whole, av.open(str(out), "w") as copy:
        of = whole.streams.video[0]
        stream = copy.add_stream_from_template(of)
        for packet in whole.demux(of):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    content = out.read_bytes()
    out.write_bytes(content[: len(content) // 2])
    return out


def test_a_film_that_breaks_off_is_read_until_there(
    visit_device: Open, astronaut: ImageArray, tmp_path: Path
) -> None:
    whole = film(tmp_path / "whole.mp4", astronaut, "libx264", seconds=8)
    page = visit_device("film")
    read(page, in_halves(whole, tmp_path / "half.mkv"))
    expect(page.locator("p.problem")).to_contain_text("The film is damaged")
    page.get_by_label("Format").select_option("jsonl")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    times = [json.loads(line)["time_s"] for line in download.value.path().read_text().splitlines()]
    assert 1 < times[-1] < 5
    expect(page.locator("p.problem")).to_contain_text(f"until 0:{times[-1] + 0.2:04.1f}")


def test_a_film_that_is_none(visit: Open, tmp_path: Path) -> None:
    (tmp_path / "none.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(5000))
    page = visit("film")
    read(page, tmp_path / "none.mp4")
    expect(page.locator("p.problem").first).to_contain_text("This browser cannot decode this film.")
    page.get_by_role("button", name="Have the service read it").click()
    page.get_by_role("button", name="Read the film").click()
    expect(page.locator("p.problem").first).to_contain_text("This cannot be read.")


def test_every_frame_of_a_film_is_that_of_its_time(
    visit_device: Open, astronaut: ImageArray, tmp_path: Path
) -> None:
    """A player says that it has sought, and may show the frame before still."""
    with av.open(str(tmp_path / "drift.webm"), "w") as out:
        stream: Any = out.add_stream("libvpx", rate=10)
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.bit_rate, stream.gop_size = "yuv420p", 4_000_000, 5
        for i in range(25):
            matrix = np.array([[0.9, 0.0, 4.0 * i - 20], [0.0, 0.9, 0.0]])
            pixels = cv2.warpAffine(astronaut, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)
            frame = av.VideoFrame.from_ndarray(np.asarray(pixels, np.uint8), format="rgb24")
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    page = visit_device("film")
    read(page, tmp_path / "drift.webm", "10")
    page.get_by_label("Format").select_option("jsonl")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    lines = download.value.path().read_text().splitlines()
    lefts = [json.loads(line)["faces"][0]["box"][0] for line in lines]
    assert len(lefts) >= 24
    steps = [after - before for before, after in itertools.pairwise(lefts)]
    assert all(1 < step < 7 for step in steps), steps


# -- the browser ----------------------------------------------------------------------------------


def test_a_full_storage_takes_nothing_but_keeping(visit_device: Open, portrait_png: Path) -> None:
    page = visit_device()
    kept_offline(page)
    at = page.url.split("#")[0]
    session = page.context.new_cdp_session(page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": at.rstrip("/"), "quotaSize": 1})
    page.evaluate(
        """async () => {
          for (const name of await caches.keys()) {
            const kept = await caches.open(name);
            for (const one of await kept.keys()) await kept.delete(one);
          }
          let room = 1 << 23;
          while (room) {
            try {
              localStorage.setItem(`full${localStorage.length}`, "x".repeat(room));
            } catch {
              room >>= 1;
            }
          }
        }"""
    )
    page.reload()
    page.set_input_files(FILES, portrait_png)
    page.locator("table.bars").wait_for()
    assert page.evaluate("caches.keys().then(all => caches.open(all[0])).then(c => c.keys())") == []
    page.locator("select").first.select_option("de")
    expect(page.locator("h1")).to_have_text("Bilder")


@pytest.mark.parametrize("place", ["device", "service"])
def test_a_tab_that_slept_for_an_hour(visit: Open, place: str) -> None:
    page = visit("live", place)
    page.clock.install()
    live(page)
    session = page.context.new_cdp_session(page)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    page.wait_for_timeout(1000)
    session.send("Page.setWebLifecycleState", {"state": "active"})
    page.clock.fast_forward("01:00:00")
    page.wait_for_timeout(1500)
    times = [float(row["time_s"]) for row in saved(page)]
    assert len(times) > 2
    assert min(times) > 3500, "of the hour before nothing is left in the last minute"
    assert max(times) - min(times) < 60
    expect(page.locator("p.problem")).to_have_count(0)
    expect(page.locator("table.bars tr.top").first).to_contain_text("happiness")


def test_networks_that_are_lost_are_had_anew(visit_device: Open, portrait_png: Path) -> None:
    fail = "setTimeout(() => { throw new Error('out of memory'); })"
    page = visit_device()
    page.set_input_files(FILES, portrait_png)
    page.locator("table.bars").wait_for()
    page.workers[-1].evaluate(fail)
    page.wait_for_timeout(300)
    page.set_input_files(FILES, portrait_png)
    expect(page.locator("table.bars")).to_have_count(2)
    page.goto(page.url.replace("#picture", "#live"))
    live(page)
    before = int(saved(page)[-1]["frame"])
    page.workers[-1].evaluate(fail)
    page.wait_for_timeout(300)
    for _ in range(PATIENCE_S):
        page.wait_for_timeout(1000)
        if int(saved(page)[-1]["frame"]) > before + 5:
            break
    expect(page.locator("p.problem")).to_have_count(0)
    assert int(saved(page)[-1]["frame"]) > before + 5
