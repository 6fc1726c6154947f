// @ts-check
import { drawFigure, WIDTH } from '/plugin_static/export/figure.js';
import { svgText } from '/plugin_static/export/svg.js';
import { countedBar, figureEpochs, figureLayers, loggedBar, squareGrid, topShare } from '/plugin_static/model/figure.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeLayer, makeSpaceAnswer, near, ok, test } from './harness.js';

const space = spaceFromContainer(/** @type {any} */ (makeSpaceAnswer(['dog', 'red'], ['object', 'color'])));

test('rows are the first step, one after a quarter, the middle and the last', () => {
  equal(figureEpochs(Array.from({ length: 40 }, (_, i) => i), null), [0, 10, 20, 39]);
  equal([figureEpochs([5], null), figureEpochs([5, 6], null), figureEpochs([], null)], [[0], [0, 1], []]);
  equal(figureEpochs([0, 10, 20, 30], [29, 1]), [0, 3]);
});
test('the layer that is shown is always among those with bars', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  equal([figureLayers(names, 'g'), figureLayers(names, 'a'), figureLayers(['a'], 'x')], [['c', 'd', 'e', 'f', 'g'], ['a', 'b', 'c', 'd', 'e'], ['a']]);
});
test('bars count as logged, or anew with the reader\'s threshold', () => {
  const metrics = /** @type {any} */ ({ neurons: 4, interpretable: 3, category_counts: { object: 2, color: 1, none: 0 } });
  equal(loggedBar('l', metrics, space.categories).parts.map(({ category, count }) => [category.name, count]), [['color', 1], ['object', 2]]);
  const bar = countedBar({ ...makeLayer([[0, 1, -1, null]]), cut: 0.05 }, 0, space);
  equal([bar.interpretable, bar.neurons, bar.parts.map(({ count }) => count)], [3, 4, [1, 2]]);
  near(topShare([bar]), 0.8);
  equal([topShare([]), topShare([{ ...bar, interpretable: 4 }])], [0.1, 1]);
});
test('squares become as large as they can', () => {
  equal([squareGrid(6, 92, 140, 2).columns, squareGrid(4, 400, 50, 2).columns, squareGrid(1, 30, 60, 2)], [2, 4, { columns: 1, size: 30 }]);
});
test('the figure has a row for each step, with dots, stars, followed neurons, bars and words no smaller than 7 pt', () => {
  const layer = makeLayer([[0, 1, -1], [1, 1, null]], { steps: [0, 9] });
  const colors = /** @type {any} */ ({ well: '#ffffff', ink: '#000000', ink2: '#333333', ink3: '#555555', rule: '#dddddd', star: '#00aa00', none: '#aaaaaa', slots: Array(11).fill('#0000ff') });
  const paint = /** @type {any} */ ({ at: () => ({ kind: Uint8Array.of(2, 2, 1), code: Uint8Array.of(0, 5, 255) }) });
  const neuron = { neuron: 0, valid: true, interpretable: true, word: '<dog>', slot: 0, similarity: 0.5, images: [{ href: 'data:image/jpeg;base64,AA', patch: /** @type {[number, number, number, number]} */ ([0, 0, 100, 100]) }] };
  const row = (/** @type {number} */ epoch) => ({ epoch, step: layer.steps[epoch], space, neurons: [neuron], bars: [loggedBar('l', /** @type {any} */ ({ neurons: 4, interpretable: 3, category_counts: { object: 2, color: 1 } }), space.categories)], distance: 0.25 });
  const drawing = drawFigure({ run: 'r', layer, paint, anchors: [{ word: 'texture', x: 0, y: 0 }], rows: [row(0), row(1)], origin: 'Threshold 0.2' }, colors, (text, size) => text.length * size * 0.55);
  const parsed = new DOMParser().parseFromString(svgText(drawing, { unit: 'mm' }), 'image/svg+xml');
  const count = (/** @type {string} */ selector) => parsed.querySelectorAll(selector).length;
  equal([count('parsererror'), parsed.documentElement.getAttribute('width')], [0, '180mm']);
  equal([count('.row'), count('.neuron'), count('.followed'), count('.anchor'), count('.probe-image'), count('.bar'), count('.distance')], [2, 4, 2, 2, 2, 4, 2]);
  ok([...parsed.querySelectorAll('text')].every((text) => Number(text.getAttribute('font-size')) >= (7 / 72) * 96 - 0.01), 'a word is smaller than 7 pt');
  ok(drawing.width === WIDTH && /steps 0 and 9/.test(drawing.description), 'the caption does not tell the steps');
  ok([...parsed.querySelectorAll('.neuron-word')].some(({ textContent }) => textContent?.includes('<dog>')), 'a name is lost');
});
