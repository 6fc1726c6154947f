// @ts-check
import { bandPath, flowBetween, layoutFlow, neuronsOfFlow } from '/plugin_static/model/flow.js';
import { keepOnly, labelOf, isValid } from '/plugin_static/model/layer.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeLayer, makeSpaceAnswer, near, ok, test } from './harness.js';

const KINDS = ['color', 'texture', 'part', 'object', 'scene'];
const space = spaceFromContainer(makeSpaceAnswer(Array.from({ length: 30 }, (_, i) => `w${i}`), Array.from({ length: 30 }, (_, i) => KINDS[i % 5])));
const at = () => space;
const sum = (/** @type {number[]} */ values) => values.reduce((a, b) => a + b, 0);

let seed = 7;
const random = (/** @type {number} */ below) => { seed = (seed * 48271) % 2147483647; return seed % below; };
const randomLayer = (/** @type {number} */ neurons) => makeLayer([0, 1].map(() => Array.from({ length: neurons }, () => (random(4) ? random(30) : random(3) ? -1 : null))));

test('rows and columns of any flow add up to its groups, and these to all neurons', () => {
  for (let round = 0; round < 30; round++) {
    const neurons = 1 + random(200);
    for (const by of /** @type {const} */ (['category', 'concept'])) {
      const flow = /** @type {import('/plugin_static/model/flow.js').Flow} */ (flowBetween(randomLayer(neurons), at, 0, 1, by, 1 + random(12)));
      flow.groups.forEach((_, group) => {
        equal(sum(flow.links.filter(({ from }) => from === group).map(({ count }) => count)), flow.before[group]);
        equal(sum(flow.links.filter(({ to }) => to === group).map(({ count }) => count)), flow.after[group]);
      });
      equal([sum(flow.before), sum(flow.after)], [neurons, neurons]);
    }
  }
});

test('a flow by category counts what a plain loop counts', () => {
  const layer = randomLayer(150);
  const kindOf = (/** @type {number} */ epoch, /** @type {number} */ neuron) => {
    if (!isValid(layer, epoch, neuron)) return 'no signal';
    const concept = labelOf(layer, epoch, neuron);
    return concept < 0 ? 'no concept' : KINDS[concept % 5];
  };
  const flow = /** @type {import('/plugin_static/model/flow.js').Flow} */ (flowBetween(layer, at, 0, 1, 'category'));
  equal(flow.groups.map(({ label }) => label), ['scene', 'object', 'part', 'texture', 'color', 'no concept', 'no signal']);
  for (const { from, to, count } of flow.links) {
    let plain = 0;
    for (let neuron = 0; neuron < 150; neuron++) if (kindOf(0, neuron) === flow.groups[from].label && kindOf(1, neuron) === flow.groups[to].label) plain++;
    equal(count, plain);
    const found = neuronsOfFlow(layer, at, 0, 1, 'category', { from: flow.groups[from].key, to: flow.groups[to].key });
    equal([found.length, found.every((neuron) => kindOf(0, neuron) === flow.groups[from].label)], [count, true]);
  }
});

test('by concept the largest have a group, the others share one', () => {
  const layer = makeLayer([[0, 0, 0, 1, 1, 2, 3, 4, -1, null], [0, 0, 1, 1, 1, 5, 6, 7, 8, 9]]);
  const flow = /** @type {import('/plugin_static/model/flow.js').Flow} */ (flowBetween(layer, at, 0, 1, 'concept', 2));
  equal(flow.groups.map(({ label }) => label), ['w1', 'w0', 'others', 'no concept', 'no signal']);
  equal(flow.before, [2, 3, 3, 1, 1]);
  equal(flow.after, [3, 2, 5, 0, 0]);
  equal(neuronsOfFlow(layer, at, 0, 1, 'concept', { from: 'w0', to: 'w1' }, 2), [2]);
  equal(neuronsOfFlow(layer, at, 0, 1, 'concept', { to: 'w0' }, 2), [0, 1]);
});

test('there is no flow while one of the steps is missing', () => {
  equal(flowBetween(keepOnly(makeLayer([[0], [1]]), (epoch) => epoch === 1, () => true), at, 0, 1, 'category'), null);
});

test('groups and bands fill the box without overlapping, and labels keep their distance', () => {
  for (let round = 0; round < 20; round++) {
    const flow = /** @type {import('/plugin_static/model/flow.js').Flow} */ (flowBetween(randomLayer(10 + random(300)), at, 0, 1, 'concept', 8));
    const { left, right, bands } = layoutFlow(flow, 400, 15);
    for (const column of [left, right]) column.forEach((node, i) => {
      const next = column[i + 1];
      ok(node.y >= 0 && node.y + node.height <= 400.001, 'inside');
      if (!next) return;
      ok(node.y + node.height < next.y, 'apart');
      ok(next.labelY - node.labelY >= 14.99, 'labels apart');
    });
    for (const { group, y, height } of left) {
      const own = bands.filter(({ from }) => from === group);
      ok(own.every(({ y0, thickness }) => y0 >= y - 0.001 && y0 + thickness <= y + height + 0.001), 'bands leave from their group');
      near(sum(own.map(({ thickness }) => thickness)), height - 1.5, 1e-6);
    }
    for (const { group, y, height } of right) ok(bands.filter(({ to }) => to === group).every(({ y1, thickness }) => y1 >= y - 0.001 && y1 + thickness <= y + height + 0.001), 'bands arrive at their group');
  }
});

test('a band is an outline of its own thickness', () => {
  equal(bandPath({ from: 0, to: 1, count: 1, y0: 10, y1: 20, thickness: 4 }, 0, 100), 'M0.0 10.0C50.0 10.0 50.0 20.0 100.0 20.0V24.0C50.0 24.0 50.0 14.0 0.0 14.0Z');
});
