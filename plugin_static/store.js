// @ts-check
/**
 * The tab's whole state as signals, and what follows from it. Views read signals inside `effect` and call the
 * actions; nothing else is shared between them.
 */
import { batch, computed, signal } from './lib.js';
import { describeInvalid, suggestTracked, summariseEpoch } from './model/history.js';
import { paintLayer } from './model/paint.js';
import { clamp, indexOfStep, nearestIndex, stepAt } from './model/steps.js';

/** @typedef {import('./api.js').RunsAnswer} RunsAnswer */
/** @typedef {import('./api.js').Metrics} Metrics */
/** @typedef {import('./model/layer.js').Layer} Layer */
/** @typedef {import('./model/space.js').Space} Space */
/** @typedef {import('./model/paint.js').ColorBy} ColorBy */
/** @typedef {import('./model/images.js').Tile} Tile */
/** @typedef {import('./api.js').ScalarPoint} ScalarPoint */
/**
 * @typedef {object} RunData What the tab has fetched of one run.
 * @property {Record<string, Space>} spaces by fingerprint
 * @property {Record<string, Metrics[]>} timeline by layer
 * @property {Record<string, Layer>} layers by name, only those looked at
 * @property {string[]} tags scalar tags
 * @property {Record<string, ScalarPoint[]>} scalars by tag, only those looked at
 * @property {Map<number, Tile>} tiles by image id
 */
/** @typedef {ReturnType<typeof createStore>} Store */

export const MAX_SUGGESTED = 6;
/** Of those, how many leave a trail on the map: more would hide it. */
export const MAX_SUGGESTED_ON_MAP = 3;
/** @returns {RunData} */
export const emptyRunData = () => ({ spaces: {}, timeline: {}, layers: {}, tags: [], scalars: {}, tiles: new Map() });

export function createStore() {
  const index = signal(/** @type {RunsAnswer | null} */ (null));
  const problem = signal('');
  const runs = signal(/** @type {Record<string, RunData>} */ ({}));
  const theme = signal(/** @type {'light' | 'dark'} */ ('light'));
  const reducedMotion = signal(false);

  const primary = signal('');
  const compared = signal('');
  const sideBySide = signal(true);
  const layerName = signal('');
  const colorBy = signal(/** @type {ColorBy} */ ('category'));
  const hidden = signal(/** @type {ReadonlySet<string>} */ (new Set()));
  const concept = signal(/** @type {string | null} */ (null));
  const showTrails = signal(true);
  const showLabels = signal(true);
  const scalarChoice = signal(/** @type {string[] | null} */ (null));

  const cursor = signal(0);
  const playing = signal(false);
  const speed = signal(1);
  const following = signal(true);

  const hovered = signal(/** @type {{run: string, neuron: number} | null} */ (null));
  const selected = signal(/** @type {number | null} */ (null));
  const chosenTracked = signal(/** @type {Record<string, number[]>} */ ({}));
  const view = signal({ k: 1, x: 0, y: 0 });

  const runNames = computed(() => Object.keys(index.value?.runs ?? {}));
  const runIndex = computed(() => index.value?.runs[primary.value] ?? null);
  const layerNames = computed(() => Object.keys(runIndex.value?.layers ?? {}));
  const data = computed(() => runs.value[primary.value] ?? emptyRunData());
  const comparedData = computed(() => (compared.value ? (runs.value[compared.value] ?? emptyRunData()) : null));
  const layer = computed(() => data.value.layers[layerName.value] ?? null);
  const comparedLayer = computed(() => comparedData.value?.layers[layerName.value] ?? null);
  const steps = computed(() => layer.value?.steps ?? []);
  const epoch = computed(() => clamp(Math.round(cursor.value), 0, Math.max(0, steps.value.length - 1)));
  const step = computed(() => steps.value[epoch.value] ?? NaN);
  /** The cursor on the charts' axis: between two steps while playing. */
  const stepNow = computed(() => stepAt(steps.value, cursor.value));
  const metrics = computed(() => data.value.timeline[layerName.value] ?? []);
  const metricsNow = computed(() => metrics.value.find((entry) => entry.step === step.value));

  /** Finds the space of a step of a layer; an identity of its own, so that views can tell when it changes. */
  const spaceFinder = (/** @type {RunData | null} */ run, /** @type {Layer | null} */ of) => (/** @type {number} */ at) =>
    (of && run?.spaces[of.spaces[at]]) || null;
  const spaceAt = computed(() => spaceFinder(data.value, layer.value));
  const comparedSpaceAt = computed(() => spaceFinder(comparedData.value, comparedLayer.value));
  const space = computed(() => spaceAt.value(epoch.value));

  const paintOptions = computed(() => ({ colorBy: colorBy.value, hidden: hidden.value, concept: concept.value }));
  const paint = computed(() => (layer.value && space.value ? paintLayer(layer.value, spaceAt.value, paintOptions.value) : null));
  const comparedPaint = computed(() =>
    comparedLayer.value ? paintLayer(comparedLayer.value, comparedSpaceAt.value, paintOptions.value) : null,
  );

  const summary = computed(() => (layer.value ? summariseEpoch(layer.value, spaceAt.value, epoch.value) : null));
  const invalidText = computed(() => describeInvalid(metricsNow.value, summary.value?.invalid ?? 0));

  /** The step of the run compared with that is shown beside ours: its last one not after it. */
  const comparedEpoch = computed(() => Math.max(0, (comparedLayer.value?.steps ?? []).findLastIndex((at) => at <= step.value)));
  const comparedSummary = computed(() => (comparedLayer.value ? summariseEpoch(comparedLayer.value, comparedSpaceAt.value, comparedEpoch.value) : null));
  const comparedMetricsNow = computed(() => {
    const at = comparedLayer.value?.steps[comparedEpoch.value];
    return (comparedData.value?.timeline[layerName.value] ?? []).find((entry) => entry.step === at);
  });

  const trackedKey = computed(() => `${primary.value}\n${layerName.value}`);
  const loggedTracked = computed(() => metrics.value[metrics.value.length - 1]?.tracked ?? []);
  const suggested = computed(() => (layer.value && space.value ? suggestTracked(layer.value, spaceAt.value, MAX_SUGGESTED) : []));
  /** Whose choice the tracked neurons are. */
  const trackedBy = computed(() => {
    if (chosenTracked.value[trackedKey.value]) return 'reader';
    return loggedTracked.value.length ? 'log' : 'suggestion';
  });
  const tracked = computed(() => {
    const chosen = chosenTracked.value[trackedKey.value] ?? (loggedTracked.value.length ? loggedTracked.value : suggested.value);
    return chosen.filter((neuron) => neuron < (layer.value?.neurons ?? 0));
  });

  const suggestedOnMap = computed(() => (trackedBy.value === 'suggestion' && selected.value === null && concept.value === null ? tracked.value.slice(0, MAX_SUGGESTED_ON_MAP) : []));

  /** @param {string} run @param {Partial<RunData>} change */
  const updateRun = (run, change) => {
    const current = runs.peek()[run] ?? emptyRunData();
    runs.value = { ...runs.peek(), [run]: { ...current, ...change } };
  };

  let rememberedStep = NaN;
  /** Keep the step while the list of steps under the cursor changes. @param {() => void} change */
  const keepingStep = (change) => {
    const before = steps.peek();
    // A layer that is still being fetched has no steps: the last known one outlives it.
    if (before.length) rememberedStep = stepAt(before, cursor.peek());
    const at = rememberedStep;
    const wasAtEnd = following.peek();
    batch(() => {
      change();
      const after = steps.value;
      if (after.length === 0 || after === before) return;
      if (wasAtEnd || Number.isNaN(at)) cursor.value = after.length - 1;
      else cursor.value = playing.peek() ? indexOfStep(after, at) : nearestIndex(after, at);
    });
  };

  /** @param {number} to index of a step, may be fractional */
  const seek = (to) => {
    const last = Math.max(0, steps.peek().length - 1);
    batch(() => {
      cursor.value = clamp(to, 0, last);
      following.value = cursor.value >= last - 1e-6;
    });
  };

  /** @param {number} neuron */
  const toggleTracked = (neuron) => {
    // The first neuron chosen takes the place of those suggested.
    const now = trackedBy.peek() === 'suggestion' ? [] : tracked.peek();
    const next = now.includes(neuron) ? now.filter((other) => other !== neuron) : [...now, neuron];
    chosenTracked.value = { ...chosenTracked.peek(), [trackedKey.peek()]: next };
  };

  /** @param {number[]} neurons */
  const setTracked = (neurons) => { chosenTracked.value = { ...chosenTracked.peek(), [trackedKey.peek()]: neurons }; };

  /** @param {string} run */
  const chooseRun = (run) => keepingStep(() => {
    if (compared.peek() === run) compared.value = primary.peek();
    primary.value = run;
    const layers = Object.keys(index.peek()?.runs[run]?.layers ?? {});
    if (!layers.includes(layerName.peek())) layerName.value = layers[layers.length - 1] ?? '';
    selected.value = null;
    hovered.value = null;
  });

  /** @param {string} name */
  const chooseLayer = (name) => keepingStep(() => {
    layerName.value = name;
    selected.value = null;
    hovered.value = null;
  });

  /** @param {string} name category name or NONE_KEY */
  const toggleCategory = (name) => {
    const next = new Set(hidden.peek());
    if (!next.delete(name)) next.add(name);
    hidden.value = next;
  };

  return {
    index, problem, runs, theme, reducedMotion,
    primary, compared, sideBySide, layerName, colorBy, hidden, concept, showTrails, showLabels, scalarChoice,
    cursor, playing, speed, following, hovered, selected, chosenTracked, view,
    runNames, runIndex, layerNames, data, comparedData, layer, comparedLayer, steps, epoch, step, stepNow, metrics, metricsNow,
    spaceAt, comparedSpaceAt, space, paint, comparedPaint, summary, invalidText, comparedSummary, comparedMetricsNow, tracked, trackedBy, suggestedOnMap,
    updateRun, keepingStep, seek, toggleTracked, setTracked, chooseRun, chooseLayer, toggleCategory,
  };
}
