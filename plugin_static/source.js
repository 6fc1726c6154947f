// @ts-check
/**
 * One layer of one run as the views show it: its data, its own cursor, its paint. The first source leads; those
 * compared with it follow at the same place of the shared axis.
 */
import { computed } from './lib.js';
import { axisPlaces, indexOfPlace, placeOfIndex, tagOfAxis } from './model/axis.js';
import { describeInvalid, summariseEpoch, suggestTracked } from './model/history.js';
import { paintLayer } from './model/paint.js';
import { emptyRunData, keyOf } from './model/run.js';
import { clamp } from './model/steps.js';

/** @typedef {{run: string, layer: string}} Shown what the reader chose to see */
/** @typedef {{run: string, layer: string, neuron: number}} NeuronRef */
/** @typedef {ReturnType<typeof createSource>} Source */

export const MAX_SUGGESTED = 6;
/** Of those, how many leave a trail on the map: more would hide it. */
export const MAX_SUGGESTED_ON_MAP = 3;
/** @type {never[]} */
const NONE = [];
const EMPTY = emptyRunData();

export { keyOf };

/**
 * @param {import('./store.js').State} state @param {Shown} shown
 * @param {(() => number) | null} leader place of the first source's cursor on the axis; null for the first source itself
 */
export function createSource(state, { run, layer: name }, leader) {
  const key = keyOf({ run, layer: name });
  const data = computed(() => state.runs.value[run] ?? EMPTY);
  const logged = computed(() => data.value.layers[name] ?? null);
  /** With the reader's threshold in place of the logged one. */
  const layer = computed(() => (logged.value && logged.value.cut !== state.threshold.value ? { ...logged.value, cut: state.threshold.value } : logged.value));
  const steps = computed(() => logged.value?.steps ?? NONE);
  const wallTimes = computed(() => logged.value?.wallTimes ?? NONE);
  const places = computed(() => axisPlaces(state.axis.value, steps.value, wallTimes.value, data.value.scalars[tagOfAxis(state.axis.value)] ?? NONE));

  const cursor = computed(() => {
    if (!leader) return state.cursor.value;
    const last = Math.max(0, steps.value.length - 1);
    return clamp(indexOfPlace(places.value, leader()), 0, last);
  });
  const epoch = computed(() => clamp(Math.round(cursor.value), 0, Math.max(0, steps.value.length - 1)));
  const step = computed(() => steps.value[epoch.value] ?? NaN);
  /** Place of the cursor on the axis: between two steps while playing. */
  const placeNow = computed(() => placeOfIndex(places.value, cursor.value));

  const metrics = computed(() => data.value.timeline[name] ?? NONE);
  const metricsNow = computed(() => metrics.value.find((entry) => entry.step === step.value));

  /** Finds the space of a step; an identity of its own, so that views can tell when it changes. */
  const spaceAt = computed(() => {
    const spaces = logged.value?.spaces ?? NONE;
    const known = data.value.spaces;
    const byMetrics = new Map(metrics.value.map((entry) => [entry.step, entry.space]));
    return (/** @type {number} */ at) => known[spaces[at] || byMetrics.get(steps.value[at]) || ''] ?? null;
  });
  const space = computed(() => spaceAt.value(epoch.value));
  const selection = computed(() => state.selection.value.get(key) ?? null);
  const paint = computed(() => (layer.value ? paintLayer(layer.value, spaceAt.value, {
    colorBy: state.colorBy.value, hidden: state.hidden.value, concept: state.pointedConcept.value ?? state.concept.value, sizeBySimilarity: state.sizeBySimilarity.value,
    // The source's own: a selection in one map leaves the others as they are. A concept pointed at is brought out whole.
    selection: state.pointedConcept.value === null ? selection.value : null,
  }) : null));

  const summary = computed(() => (layer.value?.frames[epoch.value] ? summariseEpoch(layer.value, spaceAt.value, epoch.value) : null));
  const invalidText = computed(() => describeInvalid(metricsNow.value, summary.value));

  const loggedTracked = computed(() => metrics.value[metrics.value.length - 1]?.tracked ?? NONE);
  const suggested = computed(() => (layer.value && space.value && !state.playing.value && layer.value.loaded === layer.value.steps.length ? suggestTracked(layer.value, spaceAt.value, MAX_SUGGESTED) : NONE));
  /** Whose choice the tracked neurons are. @type {import('./lib.js').Signal<'reader' | 'log' | 'suggestion'>} */
  const trackedBy = computed(() => {
    if (state.chosenTracked.value[key]) return 'reader';
    return loggedTracked.value.length ? 'log' : 'suggestion';
  });
  const tracked = computed(() => {
    const chosen = state.chosenTracked.value[key] ?? (loggedTracked.value.length ? loggedTracked.value : suggested.value);
    return chosen.filter((neuron) => neuron < (layer.value?.neurons ?? 0));
  });
  const suggestedOnMap = computed(() => (trackedBy.value === 'suggestion' && !selection.value && state.concept.value === null ? tracked.value.slice(0, MAX_SUGGESTED_ON_MAP) : NONE));

  return {
    key, run, name, data, layer, steps, wallTimes, places, cursor, epoch, step, placeNow, metrics, metricsNow, spaceAt, space, selection, paint, summary, invalidText,
    tracked, trackedBy, suggestedOnMap,
  };
}

