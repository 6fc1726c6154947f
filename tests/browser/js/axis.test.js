// @ts-check
import { axisPlaces, indexOfPlace, placeOfIndex, placeOfStep, runsDown } from '/plugin_static/model/axis.js';
import { chooseChunk, keptAround } from '/plugin_static/model/window.js';
import { equal, near, test } from './harness.js';

const steps = [0, 5, 10];
const times = [100, 3700, 9000];

test('steps, epochs and hours are places on the axis', () => {
  equal(axisPlaces('step', steps, times, []), steps);
  equal(axisPlaces('epoch', steps, times, []), [0, 1, 2]);
  near(axisPlaces('time', steps, times, [])[1], 1);
});
test('a scalar is reached when it first was, so places never fall', () => {
  equal(axisPlaces('scalar:acc', steps, times, [[0, 100, 0.2], [5, 3700, 0.6], [10, 9000, 0.5]]), [0.2, 0.6, 0.6]);
});
test('a loss runs down the axis', () => {
  const points = /** @type {[number, number, number][]} */ ([[0, 100, 2], [5, 3700, 1], [10, 9000, 1.5]]);
  equal(axisPlaces('scalar:loss', steps, times, points), [-2, -1, -1]);
  equal(runsDown('scalar:loss', points), true);
});
test('a scalar logged per batch meets the epochs by the clock', () => {
  equal(axisPlaces('scalar:acc', steps, times, [[0, 100, 0.1], [700, 3650, 0.4], [1400, 8990, 0.9]]), [0.1, 0.4, 0.9]);
});
test('without values the axis falls back to the steps', () => equal(axisPlaces('scalar:none', steps, times, [[0, 100, null]]), steps));
test('place and index are inverse, and a plateau is reached at its beginning', () => {
  equal(indexOfPlace([0.2, 0.6, 0.6], 0.6), 1);
  near(indexOfPlace([0, 5, 10], placeOfIndex([0, 5, 10], 1.4)), 1.4);
  equal([indexOfPlace([0, 5, 10], -3), indexOfPlace([0, 5, 10], 99)], [0, 2]);
  near(placeOfStep([0, 1, 2], steps, 2.5), 0.5);
});
test('the step shown is asked for first, then a run ahead of it', () => {
  const all = () => true;
  equal(chooseChunk(10, 4, 99, 1, all), [4, 4]);
  equal(chooseChunk(10, 4, 99, 3, (epoch) => epoch !== 4), [5, 7]);
  equal(chooseChunk(10, 9, 99, 3, (epoch) => epoch !== 9), [6, 8]);
  equal(chooseChunk(10, 9, 99, 3, () => false), null);
});
test('when not all fit, those near the cursor are kept, more of them ahead', () => {
  equal([0, 1, 2, 3, 4, 5].map(keptAround(6, 2, 3)), [false, false, true, true, true, false]);
  equal(chooseChunk(6, 2, 3, 9, (epoch) => epoch > 2), [3, 4]);
});
