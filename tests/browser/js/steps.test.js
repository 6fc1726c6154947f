// @ts-check
import { indexOfStep, labelledIndices, nearestIndex, stepAt } from '/plugin_static/model/steps.js';
import { equal, near, ok, test } from './harness.js';

const STEPS = [-1, 0, 5, 10];

test('a step between two logged ones is interpolated', () => near(stepAt(STEPS, 1.5), 2.5));
test('the index is held to the ends', () => equal([stepAt(STEPS, -3), stepAt(STEPS, 99)], [-1, 10]));
test('index and step are each other\'s inverse', () => {
  for (let index = 0; index <= 3; index += 0.125) near(indexOfStep(STEPS, stepAt(STEPS, index)), index);
});
test('steps outside map to the ends', () => equal([indexOfStep(STEPS, -50), indexOfStep(STEPS, 50)], [0, 3]));
test('the nearest logged step wins, the earlier one in a tie', () => equal([2, 3, 2.5].map((step) => nearestIndex(STEPS, step)), [1, 2, 1]));
test('no steps have no place', () => { ok(Number.isNaN(stepAt([], 0)), 'NaN expected'); equal([indexOfStep([], 3), nearestIndex([], 3)], [0, 0]); });
test('labels include first and last and never exceed the room by much', () => {
  for (const count of [1, 2, 7, 40, 250, 1000]) {
    const indices = labelledIndices(Array.from({ length: count }, (_, i) => i), 8);
    equal([indices[0], indices[indices.length - 1]], [0, count - 1]);
    ok(indices.length <= 10, `${indices.length} labels for ${count} steps`);
    ok(indices.every((index, i) => i === 0 || index > indices[i - 1]), 'ascending');
  }
});
