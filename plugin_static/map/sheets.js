// @ts-check
/** What of the store lies on one map, made for the renderers. What a neuron is marked with is made anew only when it changes, not while time runs. */
import { computed } from '../lib.js';
import { between } from '../model/layer.js';
import { keyOf } from '../source.js';
import { MARK } from './shared.js';
import { GENTLE, STRONG } from './trails.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('./shared.js').Sheet} Sheet */
/** @typedef {{marks: Uint8Array, marked: number[], trails: import('./trails.js').Trail[]}} Decor */

/**
 * @param {Store} store @param {() => Source[]} sources on this map
 * @param {{hovered?: boolean}} [options] whether the neuron under the pointer is marked
 */
export function createSheets(store, sources, { hovered = true } = {}) {
  /** @type {WeakMap<Source, import('../lib.js').Signal<Decor>>} */
  const decors = new WeakMap();
  const decorOf = (/** @type {Source} */ source) => {
    let decor = decors.get(source);
    if (!decor) {
      const neurons = computed(() => source.layer.value?.neurons ?? 0);
      decor = computed(() => decorate(store, source, neurons.value, hovered));
      decors.set(source, decor);
    }
    return decor.value;
  };
  return computed(() => sources().flatMap((source, place) => {
    const layer = source.layer.value;
    const paint = source.paint.value;
    if (!layer || !paint) return [];
    const cursor = isStill(store) ? source.epoch.value : source.cursor.value;
    const ghost = store.showGhost.value ? Math.ceil(cursor - 1e-6) - 1 : -1;
    return [/** @type {Sheet} */ ({ layer, paint, cursor, moment: between(layer, cursor), source: toneOf(store, source), shape: sources().length > 1 ? place : 0, ghost, ...decorOf(source) })];
  }));
}

/** Whether steps follow each other without motion between them. @param {Store} store */
export const isStill = (store) => store.reducedMotion.value || !store.animate.value;

/** Which of the sources' own colours one has: where runs are told apart, layers of one run look alike, and the other way round. @param {Store} store @param {Source} source */
export function toneOf(store, source) {
  const all = store.sources.value;
  const colorBy = store.colorBy.value;
  const alike = (/** @type {Source} */ other) => (colorBy === 'run' ? other.run === source.run : colorBy === 'layer' ? other.name === source.name : other === source);
  return Math.max(0, all.findIndex(alike));
}

/** @param {Store} store @param {Source} source @param {number} neurons @param {boolean} withHovered @returns {Decor} */
function decorate(store, source, neurons, withHovered) {
  const marks = new Uint8Array(neurons);
  const trailing = new Set(source.trackedBy.value === 'suggestion' ? [] : source.tracked.value);
  for (const neuron of trailing) marks[neuron] |= MARK.TRACKED;
  const suggested = source.suggestedOnMap.value;
  for (const neuron of suggested) marks[neuron] |= MARK.SUGGESTED;
  const mark = (/** @type {import('../source.js').NeuronRef | null} */ ref, /** @type {number} */ bit) => {
    if (!ref || keyOf(ref) !== source.key || ref.neuron >= neurons) return;
    marks[ref.neuron] |= bit;
    trailing.add(ref.neuron);
  };
  mark(store.focus.value, MARK.SELECTED);
  if (withHovered) mark(store.hovered.value, MARK.HOVERED);
  const trails = !store.showTrails.value ? [] : [
    ...suggested.filter((neuron) => !trailing.has(neuron)).map((neuron) => ({ neuron, ...GENTLE })),
    ...[...trailing].map((neuron) => ({ neuron, ...STRONG })),
  ];
  return { marks, marked: [...new Set([...trailing, ...suggested])].filter((neuron) => neuron < neurons).sort((a, b) => a - b), trails };
}

/** Radius of a point in CSS px: smaller in a crowd and in a small window, larger close up. @param {number} neurons @param {number} height @param {number} zoom */
export function pointRadius(neurons, height, zoom) {
  const crowd = 5 - 0.55 * Math.log2(Math.max(1, neurons / 128));
  const small = Math.min(1, Math.max(0.7, height / 620));
  return Math.max(1.5, Math.min(5.2, crowd)) * small * Math.min(2, zoom ** 0.35);
}
