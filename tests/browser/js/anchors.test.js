// @ts-check
import { distancePath, loggedSeries, meanDistance, nearnessAt, orLogged, rankByDistance, spelling, withAnchor } from '/plugin_static/model/anchors.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeSpaceAnswer, near, ok, test } from './harness.js';

const series = (/** @type {(number | null)[]} */ distance, steps = distance.map((_, i) => i)) => ({ steps, distance, neuron: distance.map((value, i) => (value === null ? null : i)) });

test('the anchor distance of any words is the mean of their distances at every step', () => {
  const all = [series([0.5, 0.2, 0.1]), series([0.7, 0.4, 0.5]), series([0.9, 0.3, 0.3])];
  const plain = [0, 1, 2].map((step) => {
    let total = 0;
    for (const one of all) total += Number(one.distance[step]);
    return total / 3;
  });
  meanDistance(all).forEach(({ step, value }) => near(value, plain[step]));
  equal(meanDistance([]), []);
});

test('a step at which one of the words is unknown has no mean', () => {
  equal(meanDistance([series([0.5, null, 0.25]), series([0.5, 0.5, 0.75])]).map(({ step }) => step), [0, 2]);
  equal(meanDistance([series([0.5, 0.5], [3, 7]), series([0.5], [7])]).map(({ step }) => step), [7]);
});

test('the nearest neuron at a step is looked up by the step, not by its place', () => {
  equal(nearnessAt(series([0.5, 0.25], [-1, 40]), 40), { distance: 0.25, neuron: 1 });
  ok(Number.isNaN(nearnessAt(series([null]), 0).distance) && nearnessAt(null, 0).neuron === -1, 'unknown');
});

test('logged distances are used where every step has them', () => {
  const metrics = /** @type {any[]} */ ([{ step: 0, anchors: { nearest_distance: [0.5, null], nearest_neuron: [3, -1] } }, { step: 5, anchors: { nearest_distance: [0.25, 0.75], nearest_neuron: [4, 9] } }]);
  const at = () => ['dog', 'car'];
  equal(loggedSeries(metrics, at, 'car'), { steps: [0, 5], distance: [null, 0.75], neuron: [null, 9] });
  equal(loggedSeries(metrics, at, 'cat'), null);
  equal(loggedSeries([...metrics, /** @type {any} */ ({ step: 6 })], at, 'car'), null);
});

test('words are ranked by distance, unknown ones last either way', () => {
  const words = [0.25, NaN, 0.75, 0.25].map((distance, i) => /** @type {any} */ ({ word: 'dcba'[i], distance }));
  equal([rankByDistance(words, true), rankByDistance(words, false)], [[2, 3, 0, 1], [3, 0, 2, 1]]);
});

test('a line has a gap where nothing is known', () => {
  equal(distancePath(series([1, 0.5, null, 0]), (step) => 10 * step, 1, 20), 'M0.0 0.0L10.0 10.0M30.0 20.0');
});

test('anchors are added once, whatever their case, and the logged list is no edited list', () => {
  equal([withAnchor(['dog'], 'Dog '), withAnchor(['dog'], 'cat')], [['dog'], ['dog', 'cat']]);
  equal([orLogged(['a', 'b'], ['a', 'b']), orLogged(['b', 'a'], ['a', 'b']), orLogged([], ['a'])], [null, ['b', 'a'], []]);
  const space = { ...spaceFromContainer(makeSpaceAnswer(['Dog', 'car'], ['', ''])), anchors: ['Zebra'] };
  equal([spelling(space, 'dog'), spelling(space, ' zebra'), spelling(space, 'lion')], ['Dog', 'Zebra', null]);
});
