// @ts-check
import { createAddress, flag, json, oneOf, text } from '/plugin_static/address.js';
import { signal } from '/plugin_static/lib.js';
import { fromSpans, keepState, spans } from '/plugin_static/kept.js';
import { keyOf } from '/plugin_static/model/run.js';
import { createStore } from '/plugin_static/store.js';
import { equal, ok, test, throws } from './harness.js';

const settled = () => new Promise((resolve) => setTimeout(resolve, 400));
const hash = () => decodeURIComponent(location.hash);

test('numbers are written as spans and read back', () => {
  equal(spans([7, 3, 4, 5, 12]), '3-5.7.12');
  equal(fromSpans('3-5.7.12'), [3, 4, 5, 7, 12]);
  throws(() => fromSpans('5-3'), /RangeError/);
  throws(() => fromSpans('0-99999999999'), /RangeError/);
});
test('what is usual is left out, what is wrong is refused', () => {
  equal([text('a').write('a'), text('a').write('b'), flag(true).write(true), flag(true).write(false)], [undefined, 'b', undefined, '0']);
  throws(() => oneOf(['x', 'y']).read('z'), /RangeError/);
  throws(() => json((value) => value === null, /** @returns {value is number} */ (value) => typeof value === 'number').read('"text"'), /TypeError/);
});
test('a signal takes its value from the address, and keeps its own where that is broken', async () => {
  location.hash = '#conceptmon&p.conceptmon.size=1&p.conceptmon.threshold=none';
  const address = createAddress();
  const [size, threshold] = [signal(false), signal(/** @type {number | null} */ (null))];
  address.keep('size', size, flag(false));
  address.keep('threshold', threshold, { write: (cut) => (cut === null ? undefined : String(cut)), read: (written) => { if (!Number.isFinite(Number(written))) throw new RangeError(written); return Number(written); } });
  equal([size.value, threshold.value], [true, null]);
  address.start();
  threshold.value = 0.5;
  await settled();
  ok(hash().includes('threshold=0.5'), hash());
});
test('undo goes back one change at a time, and leaves alone what changes by itself', async () => {
  location.hash = '#conceptmon';
  const address = createAddress();
  const [word, step] = [signal(''), signal('0')];
  address.keep('concept', word, text());
  address.keep('step', step, { ...text('0'), undoable: false });
  address.start();
  await settled();
  for (const next of ['red', 'car']) { word.value = next; await settled(); }
  step.value = '7';
  await settled();
  address.undo();
  await settled();
  equal([word.value, step.value, address.canUndo.value], ['red', '7', true]);
  address.undo();
  await settled();
  equal([word.value, address.canUndo.value], ['', false]);
});
test('every part of the view survives the way through the address', async () => {
  location.hash = '#conceptmon';
  const first = createStore();
  const address = createAddress();
  keepState(first, address);
  address.start();
  first.primary.value = 'a/b ~,=&';
  first.layerName.value = 'layer4.1';
  first.compared.value = [{ run: 'x', layer: 'layer4.1' }, { run: 'y:~', layer: 'layer2,' }];
  first.select(keyOf({ run: 'a/b ~,=&', layer: 'layer4.1' }), [1, 2, 3, 9]);
  first.hidden.value = new Set(['scene', '\u0000none']);
  first.threshold.value = 0.25;
  first.colorBy.value = 'born';
  first.editedAnchors.value = ['zebra', 'dog & cat'];
  first.axis.value = 'scalar:accuracy/val';
  first.range.value = [-1, 40];
  first.pinned.value = [{ run: 'x', layer: 'l', neuron: 4 }];
  await settled();
  const second = createStore();
  keepState(second, createAddress());
  for (const name of /** @type {const} */ (['primary', 'layerName', 'selection', 'hidden', 'threshold', 'colorBy', 'editedAnchors', 'axis', 'range', 'pinned'])) {
    equal(second[name].value, first[name].value);
  }
  equal(second.compared.value, [{ run: 'x', layer: '' }, { run: 'y:~', layer: 'layer2,' }]);
});
