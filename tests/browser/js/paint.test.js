// @ts-check
import { paintLayer } from '/plugin_static/model/paint.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeLayer, makeSpaceAnswer, ok, test } from './harness.js';

const space = spaceFromContainer(makeSpaceAnswer(['red', 'car'], ['color', 'object']));
const spaceAt = () => space;
const options = { colorBy: /** @type {const} */ ('category'), hidden: new Set(), concept: null };

test('a step keeps its coat while other steps come in', () => {
  const layer = makeLayer([[0, 1, null], [1, 1, -1]]);
  const coat = paintLayer(layer, spaceAt, options).at(0);
  const grown = { ...layer, frames: [...layer.frames] };
  ok(paintLayer(grown, spaceAt, { ...options }).at(0) === coat, 'the same coat');
  ok(paintLayer(grown, spaceAt, { ...options }).at(1) !== coat, 'another step, another coat');
});
test('a coat is made anew when anything that it is made of changes', () => {
  const layer = makeLayer([[0, 1, null]]);
  const other = spaceFromContainer(makeSpaceAnswer(['car', 'red'], ['object', 'color']));
  const first = () => paintLayer(layer, spaceAt, options).at(0);
  const before = first();
  const changes = [
    paintLayer(layer, spaceAt, { ...options, hidden: new Set(['object']) }), paintLayer(layer, spaceAt, { ...options, concept: 'car' }),
    paintLayer(layer, spaceAt, { ...options, selection: new Set([1]) }), paintLayer(layer, spaceAt, { ...options, colorBy: 'concept' }),
    paintLayer({ ...layer, cut: 2 }, spaceAt, options), paintLayer(layer, () => other, options),
  ];
  for (const paint of changes) ok(JSON.stringify(paint.at(0)) !== JSON.stringify(before), 'another look');
  equal(first(), before);
});
test('a ramp over the values of all steps is never kept', () => {
  const layer = makeLayer([[0, 1]]);
  const ramp = { ...options, colorBy: /** @type {const} */ ('similarity') };
  ok(paintLayer(layer, spaceAt, ramp).at(0) !== paintLayer(layer, spaceAt, ramp).at(0), 'two coats');
  const sized = { ...options, sizeBySimilarity: true };
  ok(paintLayer(layer, spaceAt, sized).at(0) !== paintLayer(layer, spaceAt, sized).at(0), 'two coats');
});
