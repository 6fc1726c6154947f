// @ts-check
import { findDead, findFalling, findRateChanges, findReached, mergeMarks, noiseOf, rateTags } from '/plugin_static/model/events.js';
import { equal, near, ok, test } from './harness.js';

/** Noise of standard deviation 1 from a fixed seed (Park-Miller, sum of twelve). @param {number} count @param {number} [seed] */
function noise(count, seed = 7) {
  let state = seed;
  const uniform = () => { state = (state * 48271) % 2147483647; return state / 2147483647; };
  return Array.from({ length: count }, () => Array.from({ length: 12 }, uniform).reduce((a, b) => a + b, -6));
}
const indices = (/** @type {{index: number}[]} */ events) => events.map(({ index }) => index);

test('a quarter, half and three quarters of the final interpretable neurons are marked where they are first reached', () => {
  const counts = [0, 10, 24, 26, 45, 51, 60, 80, 100, 99, 101];
  const events = findReached(counts, 128);
  equal(indices(events), [3, 5, 7]);
  equal(events[1].text, '50% of the final interpretable neurons: 51 of 100');
});
test('what was there from the start was not reached, and where next to nothing is gained nothing is', () => {
  equal(indices(findReached([60, 70, 90, 100, 100], 128)), [2]);
  equal(findReached([0, 1, 2, 2, 2], 256), []);
  equal(findReached([40, 41, 39, 40], 256), []);
  equal(findReached([5], 8), []);
});
test('steps that are not known are passed over', () => equal(indices(findReached([0, null, null, 60, null, 100, 100, 100], 128)), [3, 3, 5]));

test('a planted rise of the anchor distance is one event at its beginning', () => {
  const jitter = noise(40);
  const curve = jitter.map((value, i) => (i < 20 ? 1 : i < 26 ? 1 + 0.03 * (i - 20) : 1.18) + 0.002 * value);
  const events = findFalling(curve, (value) => value.toFixed(1));
  equal(events.length, 1);
  ok(Math.abs(events[0].index - 20) <= 1, `found at ${events[0].index}`);
  equal(events[0].text, 'Diversity falls: the anchor distance rises from 1.0 to 1.2');
});
test('noise, a falling curve and one high step are no fall of diversity', () => {
  for (let seed = 1; seed <= 20; seed++) equal(findFalling(noise(100, seed).map((value) => 1 + 0.02 * value)), []);
  equal(findFalling(noise(60).map((value, i) => Math.exp(-i / 15) + 0.004 * value)), []);
  equal(findFalling([1, 1, 1, 1, 1.5, 1, 1, 1, 1]), []);
});
test('values that are missing do not hide a rise', () => equal(indices(findFalling([1, 1, null, 1, 1.1, null, 1.2, 1.3, 1.3])), [3]));
test('a rise that ends on a plateau is one event', () => equal(indices(findFalling(Array.from({ length: 20 }, (_, i) => 1 + 0.05 * Math.min(5, Math.max(0, i - 8))))), [8]));
test('two rises are two events', () => equal(indices(findFalling([1, 1, 1, 1.1, 1.2, 1.3, 1.3, 1.2, 1.1, 1, 1, 1, 1.1, 1.2, 1.3, 1.3])), [2, 11]));

test('neurons that die together are one event, a slow loss is none', () => {
  const events = findDead([2, 2, 3, 2, 20, 30, 30, 30], 128);
  equal(indices(events), [4]);
  equal(events[0].text, 'Neurons without signal rise from 2 to 30 of 128');
  equal(findDead(Array.from({ length: 40 }, (_, i) => i), 128), []);
  equal(findDead([0, 0, 2, 2], 16), []);
});
test('a second wave of deaths is a second event', () => equal(indices(findDead([0, 0, 10, 10, 10, 10, 25, 25], 100)), [2, 6]));

test('a jump of the learning rate is marked, a schedule is not', () => {
  const at = (/** @type {(i: number) => number} */ rate, count = 40) => Array.from({ length: count }, (_, x) => ({ x, y: rate(x) }));
  const events = findRateChanges(at((i) => (i < 10 ? 0.1 : i < 30 ? 0.01 : 0.001)));
  equal(indices(events), [10, 30]);
  equal(events[0].text, 'Learning rate 0.1 → 0.01');
  equal(findRateChanges(at((i) => 0.05 * (1 + Math.cos((Math.PI * i) / 40)))), []);
  equal(findRateChanges(at((i) => 0.1 * 0.9 ** i)), []);
  equal(findRateChanges(at((i) => 0.1 * Math.min(1, i / 10))), []);
  equal(indices(findRateChanges(at((i) => (i < 5 ? 0.1 : 0.2)))), [5]);
});
test('learning rates are known by their names', () => {
  equal(rateTags(['loss', 'optimizer/learning_rate', 'lr', 'lr-Adam', 'lr_0', 'color', 'accuracy/lrs', 'learningrate']), ['lr', 'lr_0', 'lr-Adam', 'learningrate', 'optimizer/learning_rate']);
});
test('marks that would touch are one', () => {
  const events = [30, 3, 4, 29.5].map((index) => ({ kind: /** @type {const} */ ('rate'), index, text: `${index}` }));
  const marks = mergeMarks(events, (index) => 10 * index, 15);
  equal(marks.map(({ index, events: members }) => [index, members.length]), [[3, 2], [29.5, 2]]);
});
test('noise is measured whatever the trend', () => {
  near(noiseOf(noise(4000).map((value, i) => 0.5 * value + 0.01 * i + 3)), 0.5, 0.05);
  equal([noiseOf([1, 2]), noiseOf([1, 2, 3, 4, 5])], [0, 0]);
});
