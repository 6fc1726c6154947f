// @ts-check
import { emptyLayer, withFrames } from '/plugin_static/model/layer.js';
import { controlPoints, trailPoints } from '/plugin_static/map/trails.js';
import { equal, near, ok, test } from './harness.js';

/** One neuron that walks along x, a step's length each. @param {string[]} spaces @param {number[]} kinds */
function walk(spaces, kinds) {
  const count = spaces.length;
  const array = (/** @type {any} */ values, /** @type {number[]} */ shape) => ({ values, shape });
  const listed = { neurons: 1, steps: spaces.map((_, i) => i), wall_times: spaces.map((_, i) => i) };
  const layer = withFrames(emptyLayer('r', 'l', listed), /** @type {any} */ ({
    attrs: { layer: 'l', space: spaces },
    arrays: {
      steps: array(Int32Array.from(spaces, (_, i) => i), [count]), flags: array(new Uint8Array(count).fill(3), [count, 1]),
      position: array(Float32Array.from({ length: 2 * count }, (_, i) => (i % 2 ? 0 : i / 2)), [count, 1, 2]),
      concept_ids: array(new Int32Array(count), [count, 1, 1]), similarity: array(new Float32Array(count), [count, 1, 1]),
      displacement: array(new Float32Array(count), [count, 1]),
    },
  }));
  return { layer, paint: /** @type {any} */ ({ at: (/** @type {number} */ epoch) => ({ kind: Uint8Array.of(kinds[epoch]), code: Uint8Array.of(epoch) }) }) };
}
const trail = { neuron: 0, steps: 3, strength: 1 };
const same = ['a', 'a', 'a', 'a', 'a', 'a'];
const drawn = [2, 2, 2, 2, 2, 2];

test('a trail begins at the neuron and goes back until it has faded', () => {
  const { layer, paint } = walk(same, drawn);
  equal(trailPoints(layer, paint, trail, 5).map(({ x, age, code }) => [x, age, code]), [[5, 0, 5], [4, 1, 4], [3, 2, 3], [2, 3, 2]]);
  equal(trailPoints(layer, paint, trail, 0).length, 1);
});
test('between two steps a trail hangs on the moving neuron', () => {
  const { layer, paint } = walk(same, drawn);
  const points = trailPoints(layer, paint, trail, 2.25);
  near(points[0].x, 2.25);
  equal(points.map(({ age }) => age), [0, 0.25, 1.25, 2.25]);
});
test('a trail ends where the map changed or the neuron had no signal', () => {
  const changed = walk(['a', 'a', 'a', 'b', 'b', 'b'], drawn);
  equal(trailPoints(changed.layer, changed.paint, trail, 5).map(({ x }) => x), [5, 4, 3]);
  const dead = walk(same, [2, 2, 2, 2, 0, 2]);
  equal(trailPoints(dead.layer, dead.paint, trail, 5).map(({ x }) => x), [5]);
  equal(trailPoints(dead.layer, dead.paint, trail, 4), []);
});
test('a curve through places on a line stays on it, and stays finite where places coincide', () => {
  const at = (/** @type {number} */ x) => ({ x, y: 0 });
  const [p, q] = controlPoints(at(0), at(1), at(2), at(3));
  equal([p.y, q.y], [0, 0]);
  ok(p.x > 1 && q.x < 2 && p.x < q.x, 'in order');
  const ends = controlPoints(at(1), at(1), at(2), at(2));
  equal(ends, [at(1), at(2)]);
});
