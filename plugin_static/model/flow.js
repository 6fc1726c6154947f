// @ts-check
/**
 * How neurons went from one concept or category to another between two steps, as an alluvial diagram: a column
 * of groups for each step, and a band for every pair of groups with as many neurons as went from one to the other.
 */
import { isLoaded, isUnknown, isValid, labelOf } from './layer.js';
import { categoryOf, wordOf } from './space.js';
import { spread } from './geometry.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {import('./history.js').SpaceAt} SpaceAt */
/** @typedef {'group' | 'other' | 'none' | 'invalid'} GroupKind other: concepts with few neurons; none: no concept; invalid: dead, constant, not finite or unknown */
/** @typedef {{key: string, label: string, kind: GroupKind, slot: number, rank: number}} Group rank: high-level first, from above */
/** @typedef {{from: number, to: number, count: number}} Link indices of groups */
/** @typedef {{groups: Group[], before: number[], after: number[], links: Link[], neurons: number}} Flow before and after: neurons of each group */
/** @typedef {'category' | 'concept'} FlowBy */

const OTHER = '\u0000other';
const NONE = '\u0000none';
const INVALID = '\u0000invalid';
const UNKNOWN = '\u0000unknown';
/** After the categories, which are at most a few dozen. */
const RANKS = { other: 1e6, none: 1e6 + 1, unknown: 1e6 + 2, invalid: 1e6 + 3 };
/** Concepts with a group of their own. */
export const TOP = 10;

/**
 * The group of every neuron at one step.
 * @param {Layer} layer @param {SpaceAt} spaceAt @param {number} epoch @param {FlowBy} by @returns {(neuron: number) => Group}
 */
function groupsAt(layer, spaceAt, epoch, by) {
  const space = spaceAt(epoch);
  /** @type {Map<number, Group>} */
  const known = new Map();
  return (neuron) => {
    if (!isValid(layer, epoch, neuron)) return isUnknown(layer, epoch, neuron) ? UNKNOWN_GROUP : INVALID_GROUP;
    const concept = space ? labelOf(layer, epoch, neuron) : -1;
    const category = space && categoryOf(space, concept);
    if (!space || !category) return NONE_GROUP;
    let group = known.get(concept);
    if (!group) {
      const isWord = by === 'concept';
      group = { key: isWord ? wordOf(space, concept) : category.name, label: isWord ? wordOf(space, concept) : category.label, kind: 'group', slot: category.slot, rank: space.categories.length - space.categories.indexOf(category) };
      known.set(concept, group);
    }
    return group;
  };
}
/** @type {Group} */
const OTHER_GROUP = { key: OTHER, label: 'others', kind: 'other', slot: -1, rank: RANKS.other };
/** @type {Group} */
const NONE_GROUP = { key: NONE, label: 'no concept', kind: 'none', slot: -1, rank: RANKS.none };
/** @type {Group} */
const UNKNOWN_GROUP = { key: UNKNOWN, label: 'no known stimulus', kind: 'invalid', slot: -1, rank: RANKS.unknown };
/** @type {Group} */
const INVALID_GROUP = { key: INVALID, label: 'no signal', kind: 'invalid', slot: -1, rank: RANKS.invalid };

/**
 * @param {Layer} layer @param {SpaceAt} spaceAt @param {number} before index of a step @param {number} after index of another
 * @param {FlowBy} by @param {number} [top] concepts with a group of their own, by the neurons that they have at either step
 * @returns {Flow | null} null while one of the steps is not there yet
 */
export function flowBetween(layer, spaceAt, before, after, by, top = TOP) {
  const place = placeNeurons(layer, spaceAt, before, after, by, top);
  if (!place) return null;
  const { groups, from, to } = place;
  const size = groups.length;
  const counts = new Uint32Array(size * size);
  for (let neuron = 0; neuron < layer.neurons; neuron++) counts[from[neuron] * size + to[neuron]]++;
  const flow = /** @type {Flow} */ ({ groups, before: new Array(size).fill(0), after: new Array(size).fill(0), links: [], neurons: layer.neurons });
  counts.forEach((count, i) => {
    const link = { from: Math.floor(i / size), to: i % size, count };
    flow.before[link.from] += count;
    flow.after[link.to] += count;
    if (count) flow.links.push(link);
  });
  return flow;
}

/**
 * The neurons of a link, or of a whole group at one step.
 * @param {Layer} layer @param {SpaceAt} spaceAt @param {number} before @param {number} after @param {FlowBy} by
 * @param {{from?: string, to?: string}} which keys of groups @param {number} [top] @returns {number[]}
 */
export function neuronsOfFlow(layer, spaceAt, before, after, by, { from: source, to: target }, top = TOP) {
  const place = placeNeurons(layer, spaceAt, before, after, by, top);
  const found = [];
  if (place) for (let neuron = 0; neuron < layer.neurons; neuron++) {
    const isFrom = source === undefined || place.groups[place.from[neuron]].key === source;
    if (isFrom && (target === undefined || place.groups[place.to[neuron]].key === target)) found.push(neuron);
  }
  return found;
}

/** Groups in order, and each neuron's at both steps. @param {Layer} layer @param {SpaceAt} spaceAt @param {number} before @param {number} after @param {FlowBy} by @param {number} top */
function placeNeurons(layer, spaceAt, before, after, by, top) {
  if (!isLoaded(layer, before) || !isLoaded(layer, after) || !spaceAt(before) || !spaceAt(after)) return null;
  const sides = [groupsAt(layer, spaceAt, before, by), groupsAt(layer, spaceAt, after, by)];
  /** @type {Map<string, {group: Group, count: number}>} */
  const sizes = new Map();
  for (const groupOf of sides) for (let neuron = 0; neuron < layer.neurons; neuron++) {
    const group = groupOf(neuron);
    const known = sizes.get(group.key);
    if (known) known.count++;
    else sizes.set(group.key, { group, count: 1 });
  }
  const own = [...sizes.values()].filter(({ group }) => group.kind === 'group').sort((a, b) => b.count - a.count || (a.group.key < b.group.key ? -1 : 1));
  // A single one left over is named as well: "other" would not be shorter.
  const named = by === 'category' || own.length <= top + 1 ? own : own.slice(0, top);
  const groups = named.map(({ group }) => group);
  if (named.length < own.length) groups.push(OTHER_GROUP);
  for (const group of [NONE_GROUP, UNKNOWN_GROUP, INVALID_GROUP]) if (sizes.has(group.key)) groups.push(group);
  groups.sort((a, b) => a.rank - b.rank || (a.label < b.label ? -1 : 1));
  const index = new Map(groups.map(({ key }, i) => [key, i]));
  const rest = index.get(OTHER) ?? -1;
  const [from, to] = sides.map((groupOf) => Int32Array.from({ length: layer.neurons }, (_, neuron) => index.get(groupOf(neuron).key) ?? rest));
  return { groups, from, to };
}

/** @typedef {{group: number, count: number, y: number, height: number, labelY: number}} Node labelY: middle of its label */
/** @typedef {Link & {y0: number, y1: number, thickness: number}} Band its upper edge at both sides */
/** @typedef {{left: Node[], right: Node[], bands: Band[]}} FlowLayout */

/** Between two groups of a column, and the least height of a group, so that one neuron is seen. */
const GAP = 5;
const LEAST = 1.5;

/**
 * Place groups and bands in a box. Both columns have the same order, so that a band's slope tells of change.
 * @param {Flow} flow @param {number} height @param {number} labelGap least distance between the middles of two labels
 * @returns {FlowLayout}
 */
export function layoutFlow(flow, height, labelGap) {
  const { groups, before, after, links, neurons } = flow;
  const shown = Math.max(...[before, after].map((counts) => counts.filter(Boolean).length), 1);
  const scale = Math.max(0, height - GAP * (shown - 1) - LEAST * shown) / Math.max(1, neurons);
  const column = (/** @type {number[]} */ counts) => {
    let y = 0;
    const nodes = groups.flatMap((_, group) => {
      if (!counts[group]) return [];
      const node = { group, count: counts[group], y, height: LEAST + scale * counts[group], labelY: 0 };
      y += node.height + GAP;
      return [node];
    });
    const middles = spread(nodes.map((node) => node.y + node.height / 2), labelGap / 2, height - labelGap / 2, labelGap);
    nodes.forEach((node, i) => { node.labelY = middles[i]; });
    return nodes;
  };
  const [left, right] = [column(before), column(after)];
  const at = [left, right].map((nodes) => new Map(nodes.map((node) => [node.group, node.y + LEAST / 2])));
  // Bands leave in the order in which they arrive, so that they cross as little as may be.
  const bands = links.map((link) => ({ ...link, y0: 0, y1: 0, thickness: scale * link.count }));
  const stack = (/** @type {Map<number, number>} */ tops, /** @type {'from' | 'to'} */ end, /** @type {'y0' | 'y1'} */ edge) => {
    for (const band of bands) {
      band[edge] = tops.get(band[end]) ?? 0;
      tops.set(band[end], band[edge] + band.thickness);
    }
  };
  bands.sort((a, b) => a.to - b.to || a.from - b.from);
  stack(at[0], 'from', 'y0');
  bands.sort((a, b) => a.from - b.from || a.to - b.to);
  stack(at[1], 'to', 'y1');
  return { left, right, bands };
}

/** Outline of a band between two x. @param {Band} band @param {number} x0 @param {number} x1 */
export function bandPath({ y0, y1, thickness }, x0, x1) {
  const middle = (x0 + x1) / 2;
  const size = Math.max(thickness, 0.8);
  const f = (/** @type {number} */ value) => value.toFixed(1);
  return `M${f(x0)} ${f(y0)}C${f(middle)} ${f(y0)} ${f(middle)} ${f(y1)} ${f(x1)} ${f(y1)}V${f(y1 + size)}C${f(middle)} ${f(y1 + size)} ${f(middle)} ${f(y0 + size)} ${f(x0)} ${f(y0 + size)}Z`;
}
