"""The page as a browser shows it: no network, no error, every plot drawn, readable in both themes and on a phone."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from pretrain_api.wire import StorageLayout
from pretrain_report.main import write_report

# Of text against the nearest painted background behind it (WCAG 2.2, 1.4.3: at least 4.5).
CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  };
  const background = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("script, style")) continue;
    const style = getComputedStyle(element);
    const front = parse(element.ownerSVGElement ? style.fill : style.color);
    const [low, high] = [luminance(front), luminance(background(element))].sort((a, b) => a - b);
    found.push([(high + 0.05) / (low + 0.05), walker.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
}"""

# Boxes of what a plot's data drew: shapes with an identifier of ours (`<plot>-<what>`), by plot.
DRAWN = """() => {
  const boxes = (canvas) => [...canvas.querySelectorAll("svg > g g[id] > path")].map((path) => {
    const box = path.getBoundingClientRect();
    return [path.parentElement.id, box.width, box.height];
  });
  const visible = [...document.querySelectorAll(".canvas")].filter((one) => one.checkVisibility());
  return Object.fromEntries(visible.map((canvas) => [canvas.closest("figure").id, boxes(canvas)]));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.fail("Chromium isn't installed: apt-get install -y chromium (`make test` does it)")
    with sync_playwright() as playwright:
        # Tests may run as root, in containers without a large /dev/shm.
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        browser.close()


class Opened:
    """A page with what went wrong on it."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())

    def check(self, path: Path) -> None:
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith("data:")] == [path.as_uri()]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Open a page with the network off."""
    contexts = []

    def open_it(path: Path, width: int = 1280, scheme: Any = "light") -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        contexts.append(context)
        opened = Opened(context.new_page(), path)
        opened.check(path)
        return opened

    yield open_it
    for context in contexts:
        context.close()


@pytest.fixture
def open_report(open_page: Callable[..., Opened]) -> Callable[..., Opened]:
    """Write the report of a storage and open it."""

    def open_it(storage: Any) -> Opened:
        write_report(storage.job, storage.layout)
        return open_page(storage.layout.report / "index.html")

    return open_it


@pytest.fixture(scope="module")
def finished_page(make_finished: Callable[[], Any]) -> Path:
    """The report of a job that completed after a rollback."""
    storage = make_finished()
    write_report(storage.job, storage.layout)
    path: Path = storage.layout.report / "index.html"
    return path


def drawn(opened: Opened) -> dict[str, dict[str, tuple[float, float]]]:
    return {
        plot: {
            name.removeprefix("loss-wide-").removeprefix("loss-narrow-"): (width, height)
            for name, width, height in shapes
        }
        for plot, shapes in opened.page.evaluate(DRAWN).items()
    }


@pytest.mark.parametrize("width", [1280, 390])
def test_every_plot_is_drawn(finished_page: Path, open_page: Any, width: int) -> None:
    plots = drawn(open_page(finished_page, width))
    names = {"loss", "learning-rate", "batch-size", "throughput", "gradient-norm", "lengths", "clusters"}
    assert plots.keys() == {f"plot-{name}" for name in names}
    canvas = 0.6 * min(width, 960) if width < 700 else 800
    for name in ("train", "train-smoothed"):
        assert plots["plot-loss"][name][0] > canvas
        assert plots["plot-loss"][name][1] > 80
    for name in ("validation", "discarded-1", "span-1"):
        assert min(plots["plot-loss"][name]) > 5
    assert plots["plot-loss"]["stage-1"][1] > 100, "a vertical line"
    for plot, field in (
        ("learning-rate", "learningRate"),
        ("batch-size", "batchTokens"),
        ("throughput", "tokensPerSecond"),
        ("gradient-norm", "gradientNorm"),
    ):
        wide, high = plots[f"plot-{plot}"][f"{plot}-{field}"]
        assert wide > 200
        assert high > 20
    bars = {name: box for name, box in plots["plot-lengths"].items() if name.startswith("lengths-lengths-")}
    assert len(bars) == 11
    assert all(box[0] > 5 for box in bars.values())
    assert max(box[1] for box in bars.values()) > 80
    clusters = plots["plot-clusters"]
    assert clusters["clusters-clusters-exact-and-similar-0"][1] > clusters["clusters-clusters-exact-0"][1] > 5


def test_what_was_found_in_the_documents_is_shown(finished_page: Path, open_page: Any) -> None:
    page = open_page(finished_page).page
    rows = page.locator("#identified tbody tr").all_inner_texts()
    assert [row.split() for row in rows] == [
        ["en", "5,675", "79.9", "%", "10.2", "MB"],
        ["de", "1,418", "20.0", "%", "2.72", "MB"],
        ["is", "8", "0.1", "%", "16.0", "kB"],
    ]
    changes = page.locator("#changes tbody tr").all_inner_texts()
    assert changes[0].split("\t") == ["Lines removed", "no-terminal-punctuation", "2,100"]
    assert changes[1].split("\t") == ["", "too-few-words", "180"]
    assert changes[-1].split("\t") == ["Repeated text cut out", "–", "92.2 kB"]
    assert "web: one worker reads 3.8 times the mean of all." in page.locator("#data").inner_text()
    hit = page.locator("#contamination tbody tr").all_inner_texts()
    assert [row.split("\t") for row in hit] == [
        ["/eval/questions.jsonl", "2", "13"],
        ["s3://eval/more.jsonl", "1", "2"],
    ]
    page.get_by_text("Items of /eval/questions.jsonl").click()
    assert "Lines 7 (12 documents), 3" in page.locator("#data").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_text_has_contrast(finished_page: Path, open_page: Any, scheme: str, width: int) -> None:
    opened = open_page(finished_page, width, scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    contrasts = opened.page.evaluate(CONTRASTS)
    assert len(contrasts) > 150
    assert [found for found in contrasts if found[0] < 4.5] == []


def test_the_theme_follows_the_system(finished_page: Path, open_page: Any) -> None:
    colours = {
        scheme: open_page(finished_page, scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert colours == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 28)"}


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 2560])
def test_nothing_sticks_out(finished_page: Path, open_page: Any, width: int) -> None:
    page = open_page(finished_page, width).page
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_plot_text_is_large_enough_on_a_phone(finished_page: Path, open_page: Any) -> None:
    sizes = open_page(finished_page, 390).page.evaluate(
        "[...document.querySelectorAll('.canvas svg text')].filter((one) => one.checkVisibility())"
        ".map((one) => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a)"
    )
    assert len(sizes) > 40
    assert min(sizes) > 8.5


def test_clusters_by_topic_are_shown_the_largest_first(finished_page: Path, open_page: Any) -> None:
    page = open_page(finished_page).page
    rows = page.locator("#topics tbody tr").all_inner_texts()
    assert len(rows) == 30
    assert rows[0].split("\t") == ["river, <b>boat</b>", "5,200", "76.4 %", "900"]
    text = page.locator("#data").inner_text()
    assert "42 clusters of the documents that deduplication left; at most 900 documents of each stayed" in text
    assert "which cut 1 of them" in text


def test_values_can_be_read_off(finished_page: Path, open_page: Any) -> None:
    opened = open_page(finished_page)
    page = opened.page
    page.locator("#plot-learning-rate").scroll_into_view_if_needed()
    box = page.locator("#plot-learning-rate .canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    read = page.locator(".read-out").inner_text()
    step = int(read.split()[1])
    assert 140 < step < 180
    line = json.loads(StorageLayout(finished_page.parent.parent).metrics.read_text().splitlines()[step - 1])
    assert f"loss {line['loss']:.3f}" in read
    assert "4,096 tokens" in read
    cursors = page.locator(".cursor:visible")
    assert cursors.count() == 5, "one in each plot by step"
    page.mouse.move(5, 5)
    assert cursors.count() == 0
    assert opened.complaints == []


def test_checkpoint_events_are_folded(finished_page: Path, open_page: Any) -> None:
    page = open_page(finished_page).page
    rows = page.locator(".events tbody tr:visible")
    assert rows.count() == 8
    page.locator("#routine").check()
    assert rows.count() == 20


def test_hostile_text_is_only_text(finished: Any, open_report: Any) -> None:
    attack = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    report = json.loads(finished.layout.data_report.read_text())
    report["sources"][0]["name"] = attack
    report["sources"][0]["removed"][0] |= {"reason": attack, "samples": [attack]}
    report["duplicateClusters"][attack] = {"2": 3}
    report["settings"][attack] = attack
    finished.layout.data_report.write_text(json.dumps(report))
    finished.layout.samples.write_text(json.dumps([{"prompt": attack, "text": attack}]))
    finished.layout.ledger.write_text(json.dumps({"event": attack, "message": attack, "time": attack}) + "\n")
    finished.write_job(finished.job | {"metadata": {"name": attack, "namespace": attack}})
    page = open_report(finished).page
    assert page.locator("h1").inner_text() == attack
    assert page.locator("img").count() == 0
    assert page.title().startswith(attack)


def test_a_running_job(storage: Any, open_report: Any) -> None:
    storage.write_training(steps=70, rollback=False)
    storage.layout.evaluations.unlink()
    storage.layout.ledger.unlink()
    page = open_report(storage).page
    assert "Training had reached step 70 of 320" in page.locator(".banner").inner_text()
    assert "No validation loss yet" in page.locator("#training").inner_text()
    assert "samples are written when training ends" in page.locator("#samples .empty").inner_text()
    assert page.locator("#data .empty").count() == page.locator("#events .empty").count() == 1


def test_a_job_that_only_prepares_data(storage: Any, open_report: Any) -> None:
    spec = {"data": {"sources": [{"name": "web", "uri": "/corpus"}]}}
    storage.write_job({"metadata": {"name": "prep"}, "spec": spec})
    storage.write_data()
    opened = open_report(storage)
    assert "Data prepared" in opened.page.locator(".banner").inner_text()
    assert "8,643" in opened.page.locator(".figures").inner_text()
    assert drawn(opened).keys() == {"plot-lengths", "plot-clusters"}
    assert opened.page.locator("#training, #samples").count() == 0
    assert opened.page.locator("#data tr", has_text="tokenize").inner_text().split() == [
        "tokenize",
        "8",
        "8,700",
        "8,700",
    ]


def test_an_empty_storage(storage: Any, open_report: Any) -> None:
    page = open_report(storage).page
    assert page.locator(".empty").count() == 4
    assert page.locator("figure").count() == 0


def test_one_step(storage: Any, open_report: Any) -> None:
    storage.write_training(steps=1, rollback=False)
    opened = open_report(storage)
    assert opened.page.locator("#loss-wide-train use").count() == 1, "a point where there is no line to draw"
    box = opened.page.locator("#plot-loss .canvas:visible").bounding_box()
    opened.page.mouse.move(box["x"] + 300, box["y"] + 100)
    assert opened.page.locator(".read-out").inner_text().startswith("step 1 ")


def test_losses_that_are_not_finite(storage: Any, open_report: Any) -> None:
    lines = [{"step": step, "loss": None if step > 40 else 3.0, "gradientNorm": None} for step in range(1, 61)]
    storage.layout.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    opened = open_report(storage)
    assert opened.page.locator("#loss-wide-not-finite use").count() == 20
    assert "wasn't finite in 20 steps" in opened.page.locator("#training").inner_text()
    assert drawn(opened).keys() == {"plot-loss"}, "fields without values have no plot"


def test_a_run_where_no_loss_is_finite(storage: Any, open_report: Any) -> None:
    storage.layout.metrics.write_text('{"step": 1, "loss": null}\n{"step": 2, "loss": NaN}\n')
    assert open_report(storage).page.locator("#loss-wide-not-finite use").count() == 2


@pytest.mark.slow
def test_a_long_run_stays_small_and_shows_its_spikes(storage: Any, open_report: Any) -> None:
    noise = random.Random(1)
    with storage.layout.metrics.open("w") as file:
        for step in range(1, 200_001):
            loss = 60.0 if step == 150_001 else 2 + noise.gauss(0, 0.02) + 8 / step**0.3
            file.write(
                f'{{"step":{step},"loss":{loss:.4f},"batchStage":0,"batchTokens":65536,"tokens":{step * 65536}}}\n'
            )
    opened = open_report(storage)
    assert (storage.layout.report / "index.html").stat().st_size < 1_000_000
    assert "thinned from 200,000 steps" in opened.page.locator("#training").inner_text()
    spike = drawn(opened)["plot-loss"]["train"]
    assert spike[1] > 250, "the spike reaches the top of the plot"
