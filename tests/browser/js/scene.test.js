// @ts-check
import { drawScene, sceneOf, sceneSvg } from '/plugin_static/map/scene.js';
import { fitOf } from '/plugin_static/map/view.js';
import { zoomed } from '/plugin_static/model/geometry.js';
import { emptyRunData } from '/plugin_static/model/run.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { createStore } from '/plugin_static/store.js';
import { equal, makeLayer, makeSpaceAnswer, near, ok, test } from './harness.js';

/** @type {import('/plugin_static/theme.js').Palette} */
const palette = {
  slots: Array.from({ length: 11 }, () => [1, 0, 0]), none: [0.5, 0.5, 0.5], ramp: [[0, 0, 0], [1, 1, 1]], sources: [[0, 1, 0], [0, 0, 1]],
  well: [1, 1, 1], ink: [0, 0, 0], faint: [0.4, 0.4, 0.4], star: [0, 0.5, 0], dark: false,
};
const HOSTILE = '<script>alert("&")</script>';

/** Two runs of two neurons each that cross over from step 0 to step 1, on a map from -10 to 10. */
function makeStore() {
  const store = createStore();
  const answer = makeSpaceAnswer(['dog', HOSTILE], ['object', 'object']);
  answer.arrays.position.values.set([-10, -10, 10, 10]);
  const space = spaceFromContainer(/** @type {any} */ ({ ...answer, attrs: { ...answer.attrs, anchors: ['dog'] }, arrays: { ...answer.arrays, anchor_position: { shape: [1, 2], values: Float32Array.of(-10, -10) } } }));
  const data = (/** @type {string} */ run) => ({ ...emptyRunData(), spaces: { s: space }, layers: { l: { ...makeLayer([[0, -1], [0, 1]], { positions: [-5, 0, 5, 0, 5, 0, -5, 0] }), run } } });
  store.runs.value = { a: data('a'), b: data('b') };
  store.primary.value = 'a';
  store.layerName.value = 'l';
  return store;
}
const picture = (/** @type {HTMLCanvasElement} */ canvas) => (/** @type {number} */ x, /** @type {number} */ y) => [.../** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d')).getImageData(x, y, 1, 1).data].slice(0, 3);
const parsed = (/** @type {string} */ text) => new DOMParser().parseFromString(text, 'image/svg+xml');

test('a picture has the size asked for and shows neurons where they are', () => {
  const store = makeStore();
  const { frame } = sceneOf(store, { width: 300, height: 200, ratio: 2 });
  const canvas = drawScene(store, palette, { width: 300, height: 200, ratio: 2 });
  equal([canvas.width, canvas.height], [600, 400]);
  equal(picture(canvas)(Math.round(2 * (frame.x - 5 * frame.scale)), Math.round(2 * frame.y)), [255, 0, 0]);
});
test('the camera of the screen shows the same middle in a picture of another size', () => {
  const store = makeStore();
  store.view.value = { k: 4, x: -600, y: -450 };
  const seen = zoomed(fitOf(store.first.value, { width: 400, height: 300 }), store.view.value);
  const small = sceneOf(store, { width: 200, height: 150, margin: 0, seenAt: { width: 400, height: 300 } }).frame;
  near((100 - small.x) / small.scale, (200 - seen.x) / seen.scale);
  near((small.y - 75) / small.scale, (seen.y - 150) / seen.scale);
});
test('a step of one\'s own can be asked for, for films', () => {
  const store = makeStore();
  store.seek(1);
  const { frame, sheets } = sceneOf(store, { width: 300, height: 200, cursor: 0.5 });
  equal(sheets.map(({ cursor }) => cursor), [0.5]);
  const canvas = drawScene(store, palette, { width: 300, height: 200, ratio: 1, cursor: 0 });
  ok(picture(canvas)(Math.round(frame.x - 5 * frame.scale), Math.round(frame.y))[1] < 30, 'neuron 0 at its first place');
});
test('overlaid runs are told apart by shape as well as by colour', () => {
  const store = makeStore();
  store.compared.value = [{ run: 'b', layer: 'l' }];
  equal(sceneOf(store, { width: 300, height: 200 }).sheets.map(({ shape }) => shape), [0]);
  store.layout.value = 'overlay';
  store.colorBy.value = 'run';
  equal(sceneOf(store, { width: 300, height: 200 }).sheets.map(({ shape, source }) => [shape, source]), [[0, 0], [1, 1]]);
  store.colorBy.value = 'layer';
  equal(sceneOf(store, { width: 300, height: 200 }).sheets.map(({ source }) => source), [0, 0]);
  const text = sceneSvg(store, palette, { width: 300, height: 200 });
  equal(parsed(text).querySelectorAll('.neurons path, .marked path').length > 0, true);
});
test('a drawing holds every neuron, star and word, and words from the log stay words', () => {
  const store = makeStore();
  store.seek(1);
  const text = sceneSvg(store, palette, { width: 300, height: 200 });
  const root = parsed(text);
  equal([root.querySelector('parsererror'), root.querySelector('script')], [null, null]);
  equal([root.querySelectorAll('.neurons circle, .marked > g').length, root.querySelectorAll('.anchors path').length], [2, 1]);
  equal([...root.querySelectorAll('.names text')].map(({ textContent }) => textContent), ['dog']);
  equal([...root.querySelectorAll('.words text')].map(({ textContent }) => textContent), [HOSTILE]);
});
test('what is switched off is left out', () => {
  const store = makeStore();
  store.showLabels.value = false;
  const root = parsed(sceneSvg(store, palette, { width: 300, height: 200 }));
  equal([root.querySelectorAll('text').length, root.querySelectorAll('.anchors path').length], [0, 1]);
});
test('a ghost shows where neurons were a step before', () => {
  const store = makeStore();
  store.seek(1);
  equal(parsed(sceneSvg(store, palette, { width: 300, height: 200 })).querySelectorAll('.before circle').length, 0);
  store.showGhost.value = true;
  equal(parsed(sceneSvg(store, palette, { width: 300, height: 200 })).querySelectorAll('.before circle').length, 2);
  store.seek(0);
  equal(parsed(sceneSvg(store, palette, { width: 300, height: 200 })).querySelectorAll('.before circle').length, 0);
});
