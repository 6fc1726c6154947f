// @ts-check
import { createStore } from '../../../plugin_static/store.js';
import { equal, test } from './harness.js';

/** A store that shows one layer of one run, with a function that lists its steps. */
function shown() {
  const store = createStore();
  store.primary.value = 'run';
  store.layerName.value = 'layer4';
  const list = (/** @type {number[]} */ steps) => store.keepingStep(() => store.updateRun('run', { layers: { layer4: /** @type {any} */ ({ steps, wallTimes: steps }) } }));
  return { store, list };
}

const TEN = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

test('at the end the cursor follows what is new', () => {
  const { store, list } = shown();
  list([0, 1]);
  list(TEN);
  equal(store.step.value, 9);
});

test('a step that is not listed for a while is found again, as after a new start of TensorBoard', () => {
  const { store, list } = shown();
  list(TEN);
  store.seek(7);
  list([0, 1, 2]);
  equal(store.step.value, 2);
  list([0, 1, 2, 3, 4]);
  equal(store.step.value, 4);
  list([...TEN, 10]);
  equal(store.step.value, 7);
});

test('a step that the reader chose meanwhile stays', () => {
  const { store, list } = shown();
  list(TEN);
  store.seek(7);
  list([0, 1, 2]);
  store.seek(1);
  store.seek(2);
  store.seek(1);
  list(TEN);
  equal(store.step.value, 1);
});
