// @ts-check
import { patchStyle, tileFill, toPatch } from '/plugin_static/model/images.js';
import {
  Recent, besidePoint, cardsOf, detailFromEntry, detailFromLayer, figureNeurons, figureSteps, filmSteps, labelFromEntry, labelFromFrame, neuronFigure, slotsOf, steady, stretchesOf,
} from '/plugin_static/model/neurons.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeLayer, makeSpaceAnswer, near, ok, test } from './harness.js';

const space = spaceFromContainer(makeSpaceAnswer(['red', 'dog', 'robot'], ['color', 'object', 'mine']));
const entry = { step: 3, valid: true, interpretable: true, word: 'dog', category: 'object', similarity: 0.4 };

test('a film holds the first, the current and the last step, and never changes its length', () => {
  equal(filmSteps(20, 9, 5), [0, 5, 9, 14, 19]);
  equal(filmSteps(20, 10, 5), [0, 5, 10, 14, 19]);
  for (let at = 0; at < 20; at++) {
    const film = filmSteps(20, at, 6);
    equal([film.length, film.includes(at), film[0], film[5]], [6, true, 0, 19]);
    equal([...film].sort((a, b) => a - b), film);
  }
  equal([filmSteps(3, 1, 12), filmSteps(1, 0, 12), filmSteps(0, 0, 12), filmSteps(9, 4, 1), filmSteps(9, 7, 2)], [[0, 1, 2], [0], [], [4], [0, 7]]);
});
test('a figure has the first step, the quartiles and the last, or the steps of the reader', () => {
  const steps = [-1, 0, 5, 10, 40, 41, 42, 43, 44];
  equal(figureSteps(steps, 5, null), [0, 2, 4, 6, 8]);
  equal(figureSteps(steps, 5, [40, 6, 7]), [2, 4]);
  equal([figureSteps([7], 4, null), figureSteps([], 4, null)], [[0], []]);
});
test('a label comes from the frame, or from the answer of the plugin, by the reader\'s threshold', () => {
  const layer = { ...makeLayer([[1, null]]), run: 'r' };
  equal(labelFromFrame(layer, space, 0, 0), { valid: true, unknown: false, interpretable: true, word: 'dog', category: 'object', slot: 0, similarity: 0.5 });
  equal(labelFromFrame(layer, space, 0, 1)?.valid, false);
  equal([labelFromFrame({ ...layer, frames: [null] }, space, 0, 0), labelFromFrame(layer, null, 0, 0)], [null, null]);
  const slotOf = slotsOf(space);
  equal(labelFromEntry(entry, null, slotOf), { valid: true, unknown: false, interpretable: true, word: 'dog', category: 'object', slot: 0, similarity: 0.4 });
  equal([labelFromEntry(entry, 0.41, slotOf).interpretable, labelFromEntry({ ...entry, valid: false }, 0.1, slotOf).interpretable], [false, false]);
});
test('a category of one\'s own has its colour where the space is known, else the colour of all others', () => {
  equal([slotsOf(space)('mine'), slotsOf(null)('mine'), slotsOf(null)('scene')], [6, 10, 1]);
});
test('a life is told in stretches; what is not known yet and what is not clear are gaps', () => {
  const label = (/** @type {string} */ word) => ({ valid: true, interpretable: word !== '', word: word || 'dog', category: 'object', slot: 0, similarity: 1 });
  equal(stretchesOf([null, label(''), label('dog'), label('dog'), label('cat')]), [
    { from: 0, to: 1, word: '', slot: -1 }, { from: 2, to: 3, word: 'dog', slot: 0 }, { from: 4, to: 4, word: 'cat', slot: 0 }]);
});
test('concepts, images and patches come from the details of a layer or from the answer', () => {
  const layer = makeLayer([[0, 1]]);
  layer.details[0].topImages = Int32Array.of(-1, 7);
  layer.details[0].topPatches = Uint8Array.of(0, 0, 0, 0, 51, 0, 102, 255);
  const found = detailFromLayer(layer, space, 0, 1);
  equal(found?.images, [{ id: 7, patch: [51, 0, 102, 255] }]);
  equal(found?.concepts[0].word, 'dog');
  equal([detailFromLayer(layer, space, 0, 0)?.images, detailFromLayer({ ...layer, details: [null] }, space, 0, 0)], [[], null]);
  const answered = detailFromEntry({ concepts: [{ word: 'red', category: 'color', similarity: null }], top_images: [4, 5], top_patches: [null, [0, 0, 9, 9]] }, slotsOf(space));
  equal(answered, { concepts: [{ word: 'red', slot: 5, similarity: NaN }], images: [{ id: 4, patch: null }, { id: 5, patch: [0, 0, 9, 9] }] });
  equal(detailFromEntry(entry, slotsOf(space)), null);
});
test('a patch without area is not known; a known one is a box in percent', () => {
  equal([toPatch([0, 0, 0, 0]), toPatch(null), toPatch([9, 0, 9, 5])], [null, null, null]);
  equal(patchStyle([51, 0, 102, 255]), 'left:20.00%;top:0.00%;width:20.00%;height:100.00%');
});
test('a tile fills an element of any size', () => {
  const css = tileFill({ step: 0, column: 1, row: 0, columns: 3, rows: 1 }, 'http://x/images?run=a%20b');
  ok(css.includes('background-size:300% 100%') && css.includes('background-position:50% 0%') && css.includes('a%20b'), css);
});
test('the address of a page stays as it is, whatever the run is called', () => {
  const { href } = new URL(`http://x/images?${new URLSearchParams({ run: 'a/b=c&"d' })}`);
  ok(tileFill({ step: 0, column: 0, row: 0, columns: 1, rows: 1 }, href).includes(`url("${href}")`), href);
  ok(!/url\("[^"]*["\\\n][^)]/.test(tileFill({ step: 0, column: 0, row: 0, columns: 1, rows: 1 }, 'data:"\n\\x')), 'nothing ends the quotes');
});
test('the neuron in focus comes first, nobody twice', () => {
  const ref = (/** @type {number} */ neuron) => ({ run: 'r', layer: 'l', neuron });
  equal(cardsOf(ref(2), [ref(1), ref(2), ref(1)]), [ref(2), ref(1)]);
  equal(cardsOf(null, [ref(1)]), [ref(1)]);
});
test('the longest unused is forgotten', () => {
  /** @type {Recent<number>} */
  const recent = new Recent(2);
  recent.set('a', 1); recent.set('b', 2); recent.get('a'); recent.set('c', 3);
  equal([recent.get('a'), recent.get('b'), recent.get('c')], [1, undefined, 3]);
});
test('a card beside a point never covers it', () => {
  const card = { width: 200, height: 300 };
  for (const well of [{ width: 900, height: 700 }, { width: 420, height: 700 }, { width: 330, height: 800 }]) {
    for (let x = 0; x <= well.width; x += 30) {
      const y = 350;
      const { left, top } = besidePoint({ x, y }, card, well);
      ok(x < left || x > left + card.width || y < top || y > top + card.height, `${x} in ${well.width}: ${left}, ${top}`);
    }
  }
});
test('the data of the figure are rows of neurons with a cell of images and label for each step', async () => {
  const signal = (/** @type {unknown} */ value) => ({ value });
  const first = { run: 'r', name: 'l', tracked: signal([4]), places: signal([0, 1, 2]) };
  const store = /** @type {any} */ ({
    first: signal(first), steps: signal([0, 1, 2]), pinned: signal([{ run: 'other', layer: 'l', neuron: 2 }]), figureCount: signal(4), figureSteps: signal([0, 2]), threshold: signal(null),
    sourceOf: () => undefined, index: signal({ runs: { other: { layers: { l: { steps: [0, 2] } } } } }), runs: signal({ other: { tiles: new Map([[7, { step: 5, column: 0, row: 0, columns: 1, rows: 1 }]]) } }),
  });
  /** @type {any[]} */
  const asked = [];
  const api = /** @type {any} */ ({
    imagePage: (/** @type {string} */ run, /** @type {number} */ step) => `${run}/${step}`,
    neuron: async (/** @type {any[]} */ ...request) => { asked.push(request); return { history: [{ ...entry, step: 0 }, { ...entry, step: 2, concepts: [], top_images: [7, 8] }] }; },
  });
  const figure = await neuronFigure(store, api);
  equal(asked, [['other', 'l', 2, 2, { k: 0, film: [0, 2] }]]);
  equal([figure.steps, figure.rows.length, figure.rows[0].cells.map(({ step, word }) => [step, word])], [[0, 2], 1, [[0, 'dog'], [2, 'dog']]]);
  equal(figure.rows[0].cells[1].images.map(({ id, url }) => [id, url]), [[7, 'other/5'], [8, '']]);
  near(figure.rows[0].cells[0].similarity, 0.4);
  store.pinned.value = [];
  equal(figureNeurons(store), [{ run: 'r', layer: 'l', neuron: 4 }]);
});
test('what says the same is the same object, so that nothing is fetched twice', () => {
  let film = [1, 2];
  const wish = steady(() => ({ film: [...film] }));
  const first = wish();
  ok(wish() === first, 'the same');
  film = [1, 3];
  ok(wish() !== first, 'another');
});
