/** Smoothing, scenes and records, on made values. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Cuts } from "../src/cuts.js";
import { recordOf, type RecognizedFace } from "../src/index.js";
import { Causal, type Values } from "../src/smooth.js";
import { topOf } from "../src/stream.js";
import { numbers, plain } from "./given.js";

function values(p: number): Values {
  return { probs: [p, 1 - p], intensity: [p, 0.5] };
}

function pushed(smoother: Causal, timeS: number, p: number, track = 1): number {
  const found = smoother.push(timeS, new Map([[track, values(p)]])).get(track);
  assert.ok(found);
  return found.probs[0];
}

test("what trembles is evened out, and a change comes through", () => {
  const smoother = new Causal(numbers.smooth);
  assert.equal(pushed(smoother, 0, 0.8), 0.8);
  const next = pushed(smoother, 0.04, 0.84);
  assert.ok(next > 0.8 && next < 0.82);
  assert.ok(pushed(smoother, 0.08, 0.1) > 0.5, "a single frame may be a slip");
  assert.equal(pushed(smoother, 0.12, 0.1), 0.1);
});

test("nothing is carried over a gap, or to another face", () => {
  const smoother = new Causal(numbers.smooth);
  pushed(smoother, 0, 0.9);
  assert.equal(pushed(smoother, 0.04, 0.86, 2), 0.86);
  assert.equal(pushed(smoother, 0.5, 0.87), 0.87);
  assert.equal(pushed(smoother, 0.1, 0.85), 0.85, "a source that begins anew");
});

test("intensities move with the probabilities", () => {
  const smoother = new Causal(numbers.smooth);
  pushed(smoother, 0, 0.8);
  const found = smoother.push(0.04, new Map([[1, values(0.84)]])).get(1);
  assert.ok(found?.intensity);
  assert.ok(Math.abs(found.intensity[0] - found.probs[0]) < 1e-12);
  assert.equal(found.intensity[1], 0.5);
});

test("a new scene is a cut, a lamp switched on is none", () => {
  const cuts = new Cuts(numbers.cuts);
  const scene = (light: number, turned: boolean): ReturnType<typeof plain> => {
    const picture = plain(128, 72);
    const data = picture.data.map((_, i) => {
      const x = Math.floor(i / 4) % 128;
      return i % 4 === 3 ? 255 : (turned ? 128 - x : x) * light;
    });
    return { ...picture, data };
  };
  assert.equal(cuts.at(plain(128, 72)), false, "a picture that shows nothing");
  const told = [scene(1, false), scene(1, false), scene(1.9, false), scene(1, true), scene(1, true)];
  assert.deepEqual(told.map((frame) => cuts.at(frame)), [true, false, false, true, false]);
});

test("the first of equally likely labels is on top", () => {
  assert.equal(topOf({ a: 0.2, b: 0.4, c: 0.4 }), "b");
});

test("a record rounds as Python does", () => {
  const face: RecognizedFace = {
    box: [0.125, 0.375, 10.005, 20.1],
    score: 0.015625,
    landmarks: Float32Array.from([1.125, -0.001]),
    track: null,
    crop: { matrix: [1, 0, 0, 0, 1, 0], size: 64 },
    emotions: { happiness: 0.123456, neutral: 0.876544 },
    top: "neutral",
    intensity: null,
    quality: {
      sizePx: 64,
      sharpness: 1,
      brightness: 0.5,
      contrast: 0.25,
      inside: 1,
      yawRad: null,
      pitchRad: null,
      rollRad: null,
      tiltRad: null,
    },
    pictureQuality: 0.1,
    uncertain: true,
  };
  const record = recordOf({ width: 30, height: 20 }, [face], numbers);
  assert.equal(record.status, "low_quality");
  const [told] = record.faces;
  assert.deepEqual(told.box.slice(0, 2), [0.12, 0.38]);
  assert.equal(told.score, 0.01562);
  assert.deepEqual(told.landmarks, [[1.12, 0]]);
  assert.deepEqual(told.emotions, { happiness: 0.12346, neutral: 0.87654 });
  assert.equal(told.quality.yaw_rad, null);
  const good = recordOf({ width: 30, height: 20 }, [{ ...face, pictureQuality: 0.3 }, face], numbers);
  assert.equal(good.status, "ok");
});
