// @ts-check
import { countFrame, countSeries, countsAt, entropyAt, entropyOf, percentOf } from '/plugin_static/model/metrics.js';
import { smooth } from '/plugin_static/model/smooth.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeLayer, makeSpaceAnswer, near, ok, test } from './harness.js';

const space = spaceFromContainer(/** @type {any} */ (makeSpaceAnswer(['red', 'blue', 'dog', 'odd'], ['color', 'color', 'object', ''])));
const spaceAt = () => space;
const LOGGED = { step: 0, wall_time: 0, constant: 0, nonfinite: 0, dead: 0, threshold: 0.3, threshold_level: null, d_anchor: null, d_anchor_gated: null, mean_pairwise_distance: null, mean_displacement: null, detector: '', temperature: 1 };

/** One frame of many neurons, made by rules that a loop can repeat. @param {number} neurons */
function makeFrame(neurons) {
  const of = (/** @type {(i: number) => number} */ rule) => Array.from({ length: neurons }, (_, i) => rule(i));
  return {
    position: new Float32Array(2 * neurons), displacement: new Float32Array(neurons),
    concept: Int32Array.from(of((i) => i % 4)), similarity: Float32Array.from(of((i) => ((i * 37) % 100) / 100)),
    flags: Uint8Array.from(of((i) => (i % 10 === 0 ? 0 : i % 3 === 0 ? 3 : 2))),
  };
}

test('smoothing is the debiased moving average that TensorBoard draws', () => {
  const values = [3, 1, NaN, 4, 1, Infinity, 5, 9, 2, 6];
  const weight = 0.6;
  const expected = values.map((value, at) => {
    if (!Number.isFinite(value)) return value;
    const past = values.slice(0, at + 1).filter(Number.isFinite);
    let sum = 0;
    let weights = 0;
    past.forEach((one, i) => { const share = (1 - weight) * weight ** (past.length - 1 - i); sum += share * one; weights += share; });
    return sum / weights;
  });
  smooth(values, weight).forEach((value, i) => (Number.isFinite(expected[i]) ? near(value, expected[i], 1e-12) : equal(value, expected[i])));
});
test('without weight, and of a constant, smoothing is nothing', () => {
  equal(smooth([1, 5, 2], 0), [1, 5, 2]);
  equal(smooth([0.1, 0.1, 0.1], 0.9), [0.1, 0.1, 0.1]);
  equal(smooth([], 0.5), []);
  near(smooth([2, 4], 0.999)[0], 2);
});

test('entropy is that of the formula', () => {
  near(entropyOf([1, 1, 1, 1]), 2);
  near(entropyOf([3, 1]), -(0.75 * Math.log(0.75) + 0.25 * Math.log(0.25)) / Math.LN2);
  equal([entropyOf([7]), entropyOf([5, 0, 0])], [0, 0]);
  ok(Number.isNaN(entropyOf([])), 'nothing has no entropy');
});
test('concept entropy is over interpretable neurons and follows the threshold', () => {
  const layer = makeLayer([[0, 1], [1, 1], [-1, null]]);
  equal([0, 1].map((epoch) => entropyAt(layer, epoch)), [1, 0]);
  ok(Number.isNaN(entropyAt(layer, 2)), 'nobody is interpretable');
  ok(Number.isNaN(entropyAt({ ...layer, frames: [null, null, null] }, 0)), 'not loaded');
  ok(Number.isNaN(entropyAt({ ...layer, cut: 0.9 }, 0)), 'nobody passes');
});

test('entropy is that of a plain loop, however large the numbers of concepts', () => {
  const frame = makeFrame(300);
  frame.concept = frame.concept.map((concept) => concept * 5000);
  const layer = { ...makeLayer([[0, 0]]), neurons: 300, frames: [frame], cut: 0.3 };
  /** @type {Record<number, number>} */
  const counts = {};
  for (let i = 0; i < 300; i++) if (i % 10 && Math.fround(((i * 37) % 100) / 100) > 0.3) counts[i % 4] = (counts[i % 4] ?? 0) + 1;
  const total = Object.values(counts).reduce((a, b) => a + b, 0);
  let bits = 0;
  for (const count of Object.values(counts)) bits -= (count / total) * (Math.log(count / total) / Math.log(2));
  near(entropyAt(layer, 0), bits, 1e-12);
  near(entropyAt({ ...layer, cut: 0.30001 }, 0), bits, 1e-12);
});

test('counts are those of a plain loop, as logged and for any threshold', () => {
  const frame = makeFrame(500);
  for (const cut of [null, 0, 0.25, 0.5, 0.99]) {
    /** @type {Record<string, number>} */
    const byCategory = { color: 0, object: 0, '': 0 };
    let interpretable = 0;
    for (let i = 0; i < 500; i++) {
      if (i % 10 === 0) continue;
      if (cut === null ? i % 3 !== 0 : Math.fround(((i * 37) % 100) / 100) <= cut) continue;
      interpretable++;
      byCategory[['color', 'color', 'object', ''][i % 4]]++;
    }
    const counts = countFrame(frame, cut, space);
    equal([counts.neurons, counts.interpretable], [500, interpretable]);
    equal(Object.entries(counts.byCategory).sort(), Object.entries(byCategory).sort());
  }
});
test('counts follow a new threshold and a new space at once', () => {
  const layer = makeLayer([[0, 2]]);
  equal(countsAt(layer, spaceAt, 0)?.interpretable, 2);
  equal(countsAt({ ...layer, cut: 0.6 }, spaceAt, 0)?.interpretable, 0);
  equal(countsAt(layer, () => null, 0)?.byCategory, {});
  equal(countsAt(layer, spaceAt, 0)?.byCategory, { color: 1, object: 1, '': 0 });
});
test('without a threshold of the reader the logged counts hold; with one, steps not loaded are unknown', () => {
  const layer = { ...makeLayer([[0, 2], [0, 0]]) };
  const metrics = [{ ...LOGGED, neurons: 2, interpretable: 1, category_counts: { color: 1 } }];
  equal(countSeries({ layer, metrics, spaceAt }), [{ step: 0, neurons: 2, interpretable: 1, byCategory: { color: 1 } }]);
  const cut = { ...layer, cut: 0.2, frames: [layer.frames[0], null] };
  equal(countSeries({ layer: cut, metrics, spaceAt }).map((counts) => counts && counts.interpretable), [2, null]);
});
test('percents of categories add up to the percent of interpretable neurons', () => {
  const { neurons, interpretable, byCategory } = countFrame(makeFrame(320), 0.4, space);
  near(Object.values(byCategory).reduce((sum, count) => sum + percentOf(count, neurons), 0), percentOf(interpretable, neurons), 1e-9);
  equal(percentOf(3, 0), 0);
});
test('2,048 neurons over 100 steps are counted within a frame', () => {
  const layer = { ...makeLayer([[0, 0]]), neurons: 2048, steps: Array.from({ length: 100 }, (_, i) => i), frames: Array.from({ length: 100 }, () => makeFrame(2048)) };
  countSeries({ layer: { ...layer, cut: 0.1 }, metrics: [], spaceAt });
  // The fastest of ten: a busy machine says nothing about the code.
  const ms = Math.min(...Array.from({ length: 10 }, (_, i) => {
    const start = performance.now();
    countSeries({ layer: { ...layer, cut: 0.2 + 0.01 * i }, metrics: [], spaceAt });
    return performance.now() - start;
  }));
  ok(ms < 16, `took ${ms} ms`);
});
