// @ts-check
/** Which parts of the state are kept in the address, and how each is spelt there. */
import { flag, json, oneOf, text } from './address.js';
import { computed, effect } from './lib.js';
import { FEW, MOST } from './model/evolutions.js';
import { namesOf } from './model/run.js';
import { MAX_SMOOTHING } from './model/smooth.js';
import { nearestIndex } from './model/steps.js';
import { wellFormed } from './model/text.js';
import { keyOf } from './source.js';
import { MOST_NEIGHBOURS } from './store.js';

/** @typedef {import('./store.js').Store} Store */
/** @typedef {import('./address.js').Address} Address */

/** @param {unknown} value @returns {value is string[]} */
export const isTexts = (value) => Array.isArray(value) && value.every((item) => typeof item === 'string');
/** @param {unknown} value @returns {value is number[]} */
const isNumbers = (value) => Array.isArray(value) && value.every((item) => Number.isInteger(item));
/** @param {unknown} value @returns {value is import('./source.js').NeuronRef} */
const isNeuron = (value) => typeof value === 'object' && value !== null && 'run' in value && 'layer' in value && 'neuron' in value && Number.isInteger(value.neuron);

/** @param {Store} store @param {Address} address */
export function keepState(store, address) {
  const { keep } = address;
  const still = { undoable: false };
  keep('run', store.primary, text());
  keep('layer', store.layerName, text());
  keep('compare', store.compared, {
    // A run alone is enough where its layer is ours.
    write: (all) => (all.length ? all.map(({ run, layer }) => [run, ...(layer === store.layerName.peek() ? [] : [layer])].map((name) => encodeURIComponent(wellFormed(name))).join(':')).join(',') : undefined),
    read: (written) => written.split(',').filter(Boolean).slice(0, 3).map((one) => { const [run, layer = ''] = one.split(':').map(decodeURIComponent); return { run, layer }; }),
  });
  keep('layout', store.layout, oneOf(['side', 'overlay']));
  keep('panel', store.panel, { ...oneOf(['overview', 'neurons', 'concepts', 'evolutions', 'compare']), ...still });
  keep('column', store.columnWidth, { write: (width) => (width === null ? undefined : String(width)), read: number, ...still });
  keep('hidden', store.hidden, { write: (set) => (set.size ? JSON.stringify([...set]) : undefined), read: (written) => { const list = JSON.parse(written); if (!isTexts(list)) throw new TypeError(written); return new Set(list); } });
  keep('concept', store.concept, { write: (word) => word ?? undefined, read: (written) => written });
  keep('selection', store.selection, {
    write: (map) => (map.size ? JSON.stringify([...map].map(([key, neurons]) => [namesOf(key).run, namesOf(key).layer, spans([...neurons])])) : undefined),
    read: (written) => new Map(JSON.parse(written).map((/** @type {[string, string, string]} */ [run, layer, list]) => [keyOf({ run, layer }), new Set(fromSpans(list))])),
  });
  keep('threshold', store.threshold, { write: (cut) => (cut === null ? undefined : String(cut)), read: number });
  keep('color', store.colorBy, oneOf(['category', 'concept', 'layer', 'run', 'similarity', 'displacement', 'born']));
  keep('size', store.sizeBySimilarity, flag(false));
  keep('trails', store.showTrails, flag(true));
  keep('names', store.showLabels, flag(true));
  keep('ghost', store.showGhost, flag(false));
  keep('contours', store.showContours, flag(false));
  keep('animate', store.animate, { ...flag(true), ...still });
  keep('anchors', store.editedAnchors, json((words) => words === null, (value) => value === null || isTexts(value)));
  keep('concepts', store.conceptsView, { ...oneOf(['table', 'flow', 'missing']), ...still });
  keep('base', store.base, { write: (base) => (base === 'first' ? undefined : String(base)), read: (written) => (written === 'first' || written === 'previous' ? written : number(written)) });
  keep('sort', store.conceptSort, {
    write: ({ by, down }) => (by === 'now' && down ? undefined : `${down ? '-' : ''}${by}`),
    read: (written) => { const by = written.replace(/^-/, ''); if (!/^(word|now|change|first|layer:.+)$/.test(by)) throw new RangeError(written); return { by: /** @type {import('./model/concepts.js').SortKey} */ (by), down: written.startsWith('-') }; },
    ...still,
  });
  keep('find', store.conceptText, { ...text(), ...still });
  keep('flow', store.flowBy, { ...oneOf(['category', 'concept']), ...still });
  keep('among', store.missingAmong, { ...oneOf(['anchors', 'concepts']), ...still });
  keep('gated', store.missingGated, { ...flag(false), ...still });
  keep('pair', store.pair, { write: (pair) => pair?.join(), read: /** @returns {[number, number]} */ (written) => { const [from, to, ...more] = written.split(',').map(number); if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || more.length) throw new RangeError(written); return [from, to]; } });
  keep('class', store.evolutionClass, { write: (name) => name ?? undefined, read: (written) => written });
  keep('evolayer', store.evolutionLayer, { write: (name) => name ?? undefined, read: (written) => written });
  keep('order', store.evolutionOrder, { ...oneOf(['most', 'least']), ...still });
  keep('ranks', store.evolutionCount, { write: (count) => (count === FEW ? undefined : String(count)), read: (written) => Math.max(1, Math.min(MOST, Math.round(number(written)))), ...still });
  keep('axis', store.axis, { write: (axis) => (axis === 'step' ? undefined : axis), read: (written) => { if (!/^(step|epoch|time|scalar:.+)$/.test(written)) throw new RangeError(written); return /** @type {import('./model/axis.js').AxisMode} */ (written); } });
  keep('range', store.range, json((range) => range === null, /** @returns {value is [number, number]} */ (value) => isNumbers(value) && value.length === 2));
  keep('speed', store.speed, { write: (speed) => (speed === 1 ? undefined : String(speed)), read: number, ...still });
  keep('loop', store.loop, { ...flag(false), ...still });
  keep('pinned', store.pinned, json((list) => list.length === 0, /** @returns {value is import('./source.js').NeuronRef[]} */ (value) => Array.isArray(value) && value.every(isNeuron)));
  keep('metric', store.metric, { ...oneOf(['cosine', 'euclidean']), ...still });
  keep('near', store.neighbours, { write: (count) => (count === 5 ? undefined : String(count)), read: (written) => Math.max(1, Math.min(MOST_NEIGHBOURS, Math.round(number(written)))), ...still });
  keep('cards', store.neuronsAs, oneOf(['cards', 'figure']));
  keep('figcount', store.figureCount, { write: (count) => (count === 5 ? undefined : String(count)), read: (written) => Math.max(2, Math.min(6, Math.round(number(written)))) });
  keep('figsteps', store.figureSteps, json((steps) => steps === null, /** @returns {value is number[]} */ (value) => isNumbers(value) && value.length > 1 && value.length <= 6));
  keep('smooth', store.smoothing, { write: (weight) => (weight === 0 ? undefined : String(weight)), read: (written) => Math.max(0, Math.min(MAX_SMOOTHING, number(written))), ...still });
  keep('log', store.logScale, { ...flag(false), ...still });
  keep('counts', store.countUnit, { ...oneOf(['count', 'percent']), ...still });
  keep('bars', store.countView, { ...oneOf(['steps', 'layers']), ...still });
  keep('folded', store.folded, { write: (set) => ([...set].join() === 'measures' ? undefined : [...set].join() || 'none'), read: (written) => new Set(written.split(',').filter((name) => name !== 'none')), ...still });
  keep('charts', store.scalarChoice, json((list) => list === null, (value) => value === null || isTexts(value)));
}

/**
 * What can only be restored when the first layer's steps are known: the step, the tracked neurons and the one in
 * focus; from then on they are kept too.
 * @param {Store} store @param {Address} address
 */
export function restoreOnceLoaded(store, address) {
  const { wanted, keep } = address;
  const stop = effect(() => {
    const { layer } = store;
    if (!layer.value) return;
    queueMicrotask(() => {
      stop();
      const now = /** @type {import('./model/layer.js').Layer} */ (store.layer.peek());
      const { key, run, name } = store.first.peek();
      if (wanted.step !== undefined && Number.isFinite(Number(wanted.step))) store.seek(nearestIndex(now.steps, Number(wanted.step)));
      if (wanted.tracked) store.setTracked(key, wanted.tracked.split('.').map(Number).filter((neuron) => Number.isInteger(neuron) && neuron >= 0));
      if (wanted.neuron && Number(wanted.neuron) < now.neurons) store.focus.value = { run, layer: name, neuron: Number(wanted.neuron) };
      restoreOthers(store, wanted);
      keepDerived(store, keep);
      address.start();
    });
  });
}

/**
 * The camera in map units, so that a link shows the same place in a window of another size. What it shows can only
 * be told once the map has a size and its words have places.
 * @param {Store} store @param {Address} address @param {import('./map/maps.js').Maps} maps
 */
export function keepCamera(store, address, maps) {
  const stop = effect(() => {
    if (!store.space.value || !maps.list[0].size.value.width) return;
    queueMicrotask(() => {
      stop();
      const [k, x, y] = (address.wanted.camera ?? '').split(',').map(Number);
      if ([k, x, y].every(Number.isFinite)) maps.centreOn(x, y, k);
      address.keep('camera', maps.camera, {
        write: (camera) => (camera ? [camera.k, camera.x, camera.y].map((value) => Number(value.toPrecision(6))).join(',') : undefined), read: ignore, undoable: false,
      });
    });
  });
}

/** Tracked neurons and the one in focus of the layers compared with. @param {Store} store @param {Address['wanted']} wanted */
function restoreOthers(store, wanted) {
  try {
    for (const [run, layer, list] of JSON.parse(wanted.trackedToo ?? '[]')) store.setTracked(keyOf({ run, layer }), fromSpans(list));
    const focus = JSON.parse(wanted.focus ?? 'null');
    if (isNeuron(focus) && keyOf(focus) !== store.first.peek().key) store.focus.value = focus;
  } catch {
    // Written by hand or by another version: these stay as they are.
  }
}

/** @param {Store} store @param {Address['keep']} keep */
function keepDerived(store, keep) {
  /** @template T @param {() => T} get @returns {any} a signal that is only read */
  const derived = (get) => computed(get);
  // At the end there is nothing to remember: whoever opens the link sees the newest step.
  keep('step', derived(() => (store.following.value ? '' : String(store.step.value))), { write: (step) => step || undefined, read: ignore, undoable: false });
  keep('tracked', derived(() => (store.first.value.trackedBy.value === 'reader' ? store.first.value.tracked.value.join('.') : '')), { write: (list) => list || undefined, read: ignore, undoable: false });
  keep('trackedToo', derived(() => {
    const chosen = store.others.value.filter(({ trackedBy }) => trackedBy.value === 'reader').map(({ run, name, tracked }) => [run, name, spans(tracked.value)]);
    return chosen.length ? JSON.stringify(chosen) : '';
  }), { write: (list) => list || undefined, read: ignore, undoable: false });
  keep('focus', derived(() => { const ref = store.focus.value; return ref && keyOf(ref) !== store.first.value.key ? JSON.stringify(ref) : ''; }), { write: (ref) => ref || undefined, read: ignore, undoable: false });
  keep('neuron', derived(() => { const ref = store.focus.value; return ref && keyOf(ref) === store.first.value.key ? String(ref.neuron) : ''; }), { write: (neuron) => neuron || undefined, read: ignore, undoable: false });
}

/** @returns {never} */
const ignore = () => { throw new Error('restored elsewhere'); };

/** @param {string} written @returns {number} */
function number(written) {
  const value = Number(written);
  if (written.trim() === '' || !Number.isFinite(value)) throw new RangeError(written);
  return value;
}

/** Numbers as "3-7.12". @param {number[]} numbers */
export function spans(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  /** @type {[number, number][]} */
  const parts = [];
  for (const value of sorted) {
    const last = parts[parts.length - 1];
    if (last && value === last[1] + 1) last[1] = value;
    else parts.push([value, value]);
  }
  return parts.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join('.');
}

/** @param {string} written @returns {number[]} */
export const fromSpans = (written) => written.split('.').filter(Boolean).flatMap((part) => {
  const [from, to = from] = part.split('-').map(number);
  if (!(from >= 0 && to >= from && to - from < 1e7)) throw new RangeError(part);
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
});
