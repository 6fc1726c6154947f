// @ts-check
import { countConcepts, fillPolygon, mostCounted, neuronsInside, neuronTowards, rectangleOf } from '/plugin_static/model/select.js';
import { equal, makeLayer, ok, test } from './harness.js';

const always = () => true;
const size = { width: 100, height: 80 };
/** Pixel = (10 x, -10 y). */
const transform = { scale: 10, x: 0, y: 0 };
/** Four neurons at pixels (10, 10), (30, 10), (10, 30), (30, 30). */
const four = () => makeLayer([[0, 1, 2, -1]], { positions: [1, -1, 3, -1, 1, -3, 3, -3] });
const area = (/** @type {import('/plugin_static/model/select.js').Mask} */ { inside }) => inside.reduce((sum, byte) => sum + byte, 0);

test('a rectangle covers its own pixels, however it was drawn', () => {
  equal(area(fillPolygon(rectangleOf([10, 10], [30, 20]), size)), 200);
  equal(area(fillPolygon(rectangleOf([30, 20], [10, 10]), size)), 200);
});
test('what lies outside the map is cut off, and a line encloses nothing', () => {
  equal(area(fillPolygon(rectangleOf([-50, -50], [500, 500]), size)), 100 * 80);
  equal(area(fillPolygon([[1, 1], [20, 20]], size)), 0);
  equal(area(fillPolygon(rectangleOf([200, 200], [300, 300]), size)), 0);
});
test('a loop that crosses itself leaves out what it goes around twice', () => {
  const twice = fillPolygon([[10, 10], [50, 10], [50, 50], [10, 50], [10, 10], [50, 10], [50, 50], [10, 50]], size);
  equal(area(twice), 0);
  const bow = fillPolygon([[10, 10], [50, 50], [50, 10], [10, 50]], size);
  ok(area(bow) > 700 && area(bow) < 900, `half of the square, got ${area(bow)}`);
});
test('neurons inside a shape are found at the places they have between two steps', () => {
  const layer = makeLayer([[0, 0], [0, 0]], { positions: [1, -1, NaN, NaN, 3, -1, 5, -5] });
  const mask = fillPolygon(rectangleOf([15, 5], [25, 15]), size);
  equal(neuronsInside(layer, 0, transform, mask, always), []);
  equal(neuronsInside(layer, 0.5, transform, mask, always), [0]);
  equal(neuronsInside(layer, 0.5, transform, fillPolygon(rectangleOf([45, 45], [55, 55]), size), always), [1]);
  equal(neuronsInside(four(), 0, transform, fillPolygon(rectangleOf([0, 0], [20, 40]), size), always), [0, 2]);
  equal(neuronsInside(four(), 0, transform, fillPolygon(rectangleOf([0, 0], [40, 40]), size), (_, neuron) => neuron === 3), [3]);
});
test('keys lead to the nearest neuron on the side asked for, and none where there is none', () => {
  const layer = four();
  const from = (/** @type {number} */ neuron, /** @type {[number, number]} */ direction) => neuronTowards(layer, 0, [1 + 2 * (neuron % 2), -1 - 2 * Math.floor(neuron / 2)], direction, always, neuron)?.neuron ?? null;
  equal([from(0, [1, 0]), from(1, [-1, 0]), from(0, [0, -1]), from(2, [0, 1])], [1, 0, 2, 0]);
  equal([from(0, [-1, 0]), from(0, [0, 1])], [null, null]);
  equal(neuronTowards(layer, 0, [2.9, -2.9], [0, 0], always)?.neuron, 3);
});
test('concepts are counted over the neurons that are interpretable, by the reader\'s threshold too', () => {
  const layer = four();
  equal(countConcepts([{ layer, epoch: 0 }], 4), new Uint32Array([1, 1, 1, 0]));
  equal(countConcepts([{ layer, epoch: 0 }, { layer, epoch: 0 }], 3), new Uint32Array([2, 2, 2]));
  equal(countConcepts([{ layer: { ...layer, cut: 0.9 }, epoch: 0 }], 3), new Uint32Array(3));
  equal(countConcepts([{ layer, epoch: 7 }], 3), new Uint32Array(3));
});
test('the words most detected in view come first, others as they are listed', () => {
  const position = [1, -1, 2, -2, 3, -3, 400, 0, 4, -4];
  equal(mostCounted(position, new Uint32Array([0, 5, 0, 9, 7]), transform, size, 3), [4, 1, 0]);
  equal(mostCounted(position, new Uint32Array(0), transform, size, 10), [0, 1, 2, 4]);
});
test('choosing among 20,000 words and filling a lasso of 2,000 corners takes a few milliseconds', () => {
  const position = Float32Array.from({ length: 40000 }, (_, i) => ((i * 7919) % 1000) / 100);
  const flipped = position.map((value, i) => (i % 2 ? -value : value));
  const counts = Uint32Array.from({ length: 20000 }, (_, i) => i % 13);
  const corners = Array.from({ length: 2000 }, (_, i) => /** @type {[number, number]} */ ([50 + 40 * Math.cos(i / 318), 40 + 40 * Math.sin(i / 318)]));
  const best = (/** @type {number} */ enough, /** @type {() => void} */ body) => {
    let least = Infinity;
    for (let run = 0; run < 100 && least >= enough; run += 1) { const start = performance.now(); body(); least = Math.min(least, performance.now() - start); }
    return least;
  };
  const words = best(15, () => mostCounted(flipped, counts, transform, size, 250));
  const lasso = best(30, () => fillPolygon(corners, size));
  ok(words < 15 && lasso < 30, `${words.toFixed(1)} ms for the words, ${lasso.toFixed(1)} ms for the lasso`);
});
