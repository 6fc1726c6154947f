// @ts-check
/**
 * The tab's whole state as signals, and what follows from it. Views read signals inside `effect` and call the
 * actions; nothing else is shared between them. What belongs to one shown layer of one run is in its source.
 */
import { batch, computed, signal } from './lib.js';
import { FEW } from './model/evolutions.js';
import { sameNeuron } from './model/neurons.js';
import { emptyRunData } from './model/run.js';
import { clamp, indexOfStep, nearestIndex, stepAt } from './model/steps.js';
import { byName } from './model/text.js';
import { createSource, keyOf } from './source.js';

/** @typedef {import('./api.js').RunsAnswer} RunsAnswer */
/** @typedef {import('./api.js').Metrics} Metrics */
/** @typedef {import('./model/layer.js').Layer} Layer */
/** @typedef {import('./model/space.js').Space} Space */
/** @typedef {import('./model/paint.js').ColorBy} ColorBy */
/** @typedef {import('./model/axis.js').AxisMode} AxisMode */
/** @typedef {import('./source.js').Source} Source */
/** @typedef {import('./source.js').Shown} Shown */
/** @typedef {import('./source.js').NeuronRef} NeuronRef */
/** @typedef {import('./model/run.js').RunData} RunData */
/** @typedef {'overview' | 'neurons' | 'concepts' | 'evolutions' | 'compare'} PanelName */
/** @typedef {'side' | 'overlay'} Layout */
/** @typedef {{word: string, kind: 'anchor' | 'concept' | 'typed', x: number, y: number}} Anchor map units */
/** @typedef {'move' | 'lasso' | 'rectangle'} Tool */
/** @typedef {ReturnType<typeof createState>} State */
/** @typedef {ReturnType<typeof createStore>} Store */

/** Sources beside the first one that can be shown at once. */
export const MAX_COMPARED = 3;
/** Nearest neurons that a card can list. */
export const MOST_NEIGHBOURS = 25;

/** What the reader set and what was fetched; everything else follows from it. */
function createState() {
  return {
    // Fetched
    index: signal(/** @type {RunsAnswer | null} */ (null)),
    problem: signal(''),
    runs: signal(/** @type {Record<string, RunData>} */ (byName())),
    // The page around
    theme: signal(/** @type {'light' | 'dark'} */ ('light')),
    reducedMotion: signal(false),
    // What is shown
    primary: signal(''),
    layerName: signal(''),
    compared: signal(/** @type {Shown[]} */ ([])),
    layout: signal(/** @type {Layout} */ ('side')),
    panel: signal(/** @type {PanelName} */ ('overview')),
    /** Width of the panels in px, null: the usual one. */
    columnWidth: signal(/** @type {number | null} */ (null)),
    // Filters, one set for all views
    hidden: signal(/** @type {ReadonlySet<string>} */ (new Set())),
    concept: signal(/** @type {string | null} */ (null)),
    selection: signal(/** @type {ReadonlyMap<string, ReadonlySet<number>>} */ (new Map())),
    threshold: signal(/** @type {number | null} */ (null)),
    // The map
    colorBy: signal(/** @type {ColorBy} */ ('category')),
    sizeBySimilarity: signal(false),
    showTrails: signal(true),
    showLabels: signal(true),
    showGhost: signal(false),
    showContours: signal(false),
    animate: signal(true),
    tool: signal(/** @type {Tool} */ ('move')),
    view: signal({ k: 1, x: 0, y: 0 }),
    /** Anchors as the reader edited them, null: as logged. */
    editedAnchors: signal(/** @type {string[] | null} */ (null)),
    /** Places of words that are not in the concept space, by word, as the plugin placed them. */
    typedPlaces: signal(/** @type {Record<string, [number, number]>} */ (byName())),
    // Time
    axis: signal(/** @type {AxisMode} */ ('step')),
    cursor: signal(0),
    playing: signal(false),
    speed: signal(1),
    loop: signal(false),
    /** Steps between which the player stays, null for all. */
    range: signal(/** @type {[number, number] | null} */ (null)),
    following: signal(true),
    // Neurons
    hovered: signal(/** @type {NeuronRef | null} */ (null)),
    focus: signal(/** @type {NeuronRef | null} */ (null)),
    /** What near means in a card's list of neurons. */
    metric: signal(/** @type {'cosine' | 'euclidean'} */ ('cosine')),
    /** How many nearest neurons a card lists. */
    neighbours: signal(5),
    pinned: signal(/** @type {NeuronRef[]} */ ([])),
    neuronsAs: signal(/** @type {'cards' | 'figure'} */ ('cards')),
    /** Columns of the figure of neurons, and their steps where the reader chose them. */
    figureCount: signal(5),
    figureSteps: signal(/** @type {number[] | null} */ (null)),
    chosenTracked: signal(/** @type {Record<string, number[]>} */ ({})),
    // Scalars that some view needs, by tag: the loader fetches them for all shown runs.
    wantedScalars: signal(/** @type {ReadonlySet<string>} */ (new Set())),
    // The panel of concepts
    conceptsView: signal(/** @type {'table' | 'flow' | 'missing'} */ ('table')),
    /** The step that changes of concepts are counted from. */
    base: signal(/** @type {import('./model/concepts.js').Base} */ ('first')),
    conceptSort: signal(/** @type {import('./model/concepts.js').SortOrder} */ ({ by: 'now', down: true })),
    conceptText: signal(''),
    flowBy: signal(/** @type {'category' | 'concept'} */ ('category')),
    missingAmong: signal(/** @type {'anchors' | 'concepts'} */ ('anchors')),
    /** Whether only interpretable neurons count as near to a word. */
    missingGated: signal(false),
    /** The concept under the pointer in a list: brought out on the map while it is there. */
    pointedConcept: signal(/** @type {string | null} */ (null)),
    editingAnchors: signal(false),
    // The panel of evolutions
    /** The two steps that the reader chose, null: the newest that the log has a table for. */
    pair: signal(/** @type {[number, number] | null} */ (null)),
    /** The class and the layer that the reader chose, null: the table's first class, all layers. */
    evolutionClass: signal(/** @type {string | null} */ (null)),
    evolutionLayer: signal(/** @type {string | null} */ (null)),
    evolutionOrder: signal(/** @type {import('./model/evolutions.js').Order} */ ('most')),
    /** How many evolutions are listed. */
    evolutionCount: signal(FEW),
    /** What the panel ranks, once the log is known: the other views mark its steps, and it can be exported. */
    evolution: signal(/** @type {import('./model/evolutions.js').Ranking | null} */ (null)),
    /** The neuron that was chosen in the ranking: its two steps stay marked while its card is looked at. */
    chosenEvolution: signal(/** @type {NeuronRef | null} */ (null)),
    /** The neuron under the pointer or the arrow keys in the ranking: the map shows its way. */
    pointedEvolution: signal(/** @type {NeuronRef | null} */ (null)),
    /** Mean distance of the edited anchors to their nearest neuron, by source. */
    editedDistance: signal(/** @type {Record<string, {step: number, value: number}[]>} */ ({})),
    /** Groups of scalars shown as charts, null for the usual ones. */
    scalarChoice: signal(/** @type {string[] | null} */ (null)),
    // Charts
    /** Weight of the past, 0 to 0.999. */
    smoothing: signal(0),
    logScale: signal(false),
    countUnit: signal(/** @type {'count' | 'percent'} */ ('count')),
    countView: signal(/** @type {'steps' | 'layers'} */ ('steps')),
    /** Sections of charts that are folded away. */
    folded: signal(/** @type {ReadonlySet<string>} */ (new Set(['measures']))),
  };
}

export function createStore() {
  const state = createState();
  const { index, runs, primary, layerName, compared, cursor, playing, following, selection, focus, hovered, chosenTracked } = state;

  const runNames = computed(() => Object.keys(index.value?.runs ?? {}));
  const runIndex = computed(() => index.value?.runs[primary.value] ?? null);
  /** Of a run that is gone from the log, those that are here. */
  const layerNames = computed(() => Object.keys(runIndex.value?.layers ?? runs.value[primary.value]?.layers ?? {}));

  /** Sources live as long as they are shown, so that what was computed is not computed again. @type {Map<string, Source>} */
  const made = new Map();
  const sources = computed(() => {
    const shown = primary.value && layerName.value ? [{ run: primary.value, layer: layerName.value }, ...compared.value] : [];
    const before = new Map(made);
    made.clear();
    /** @type {Source[]} */
    const list = [];
    shown.forEach((one, i) => {
      const leader = i === 0 ? null : () => list[0].placeNow.value;
      const key = `${i === 0 ? 'first' : `after ${keyOf(shown[0])}`}\n${keyOf(one)}`;
      const source = before.get(key) ?? createSource(state, one, leader);
      made.set(key, source);
      list.push(source);
    });
    return list;
  });
  const nobody = createSource(state, { run: '', layer: '' }, null);
  const first = computed(() => sources.value[0] ?? nobody);
  const others = computed(() => sources.value.slice(1));

  // What views ask most often of the first source.
  const data = computed(() => first.value.data.value);
  const layer = computed(() => first.value.layer.value);
  const steps = computed(() => first.value.steps.value);
  const epoch = computed(() => first.value.epoch.value);
  const step = computed(() => first.value.step.value);
  const space = computed(() => first.value.space.value);
  const spaceAt = computed(() => first.value.spaceAt.value);

  /** Anchors as they are drawn: the edited list, else the logged one; a typed word has a place once the plugin has placed it. */
  const anchors = computed(() => {
    const now = space.value;
    if (!now) return [];
    const words = state.editedAnchors.value ?? now.anchors;
    return words.flatMap(placeOfAnchor);
    /** @param {string} word @returns {Anchor[]} */
    function placeOfAnchor(word) {
      const anchor = now.anchors.indexOf(word);
      if (anchor >= 0) return [{ word, kind: 'anchor', x: now.anchorPosition[2 * anchor], y: now.anchorPosition[2 * anchor + 1] }];
      const concept = now.words.indexOf(word);
      if (concept >= 0) return [{ word, kind: 'concept', x: now.position[2 * concept], y: now.position[2 * concept + 1] }];
      const place = state.typedPlaces.value[word];
      return place ? [{ word, kind: 'typed', x: place[0], y: place[1] }] : [];
    }
  });

  /** The two steps that map, card and time line mark, null for none. */
  const markedEvolution = computed(() => {
    const { panel: { value: panel }, evolution: { value: ranked }, chosenEvolution: { value: chosen } } = state;
    if (!ranked || ranked.run !== primary.value) return null;
    return panel === 'evolutions' || (panel === 'neurons' && chosen !== null && sameNeuron(chosen, focus.value)) ? ranked : null;
  });

  /** @param {string} run @param {Partial<RunData>} change */
  const updateRun = (run, change) => { runs.value = byName(runs.peek(), { [run]: { ...(runs.peek()[run] ?? emptyRunData()), ...change } }); };

  let rememberedStep = NaN;
  let leftAt = NaN;
  /** Keep the step while the list of steps under the cursor changes. @param {() => void} change */
  const keepingStep = (change) => {
    const before = steps.peek();
    // A layer that is still being fetched has no steps: the last known one outlives it. And while nobody moved the
    // cursor, it looks for the same step again: after a new start TensorBoard lists some steps later than others.
    if (before.length && cursor.peek() !== leftAt) rememberedStep = stepAt(before, cursor.peek());
    const at = rememberedStep;
    const wasAtEnd = following.peek();
    batch(() => {
      change();
      const after = steps.value;
      if (after.length === 0 || after === before) return;
      if (wasAtEnd || Number.isNaN(at)) cursor.value = after.length - 1;
      else cursor.value = playing.peek() ? indexOfStep(after, at) : nearestIndex(after, at);
      leftAt = cursor.peek();
    });
  };

  /** @param {number} to index of a step, may be fractional */
  const seek = (to) => {
    const last = Math.max(0, steps.peek().length - 1);
    leftAt = NaN;
    batch(() => {
      cursor.value = clamp(to, 0, last);
      following.value = cursor.value >= last - 1e-6;
    });
  };

  /** @param {string} key of a source @returns {Source | undefined} */
  const sourceOf = (key) => sources.value.find((source) => source.key === key);

  /** @param {NeuronRef} ref */
  const toggleTracked = (ref) => {
    const key = keyOf(ref);
    const source = sources.peek().find((one) => one.key === key);
    // The first neuron chosen takes the place of those suggested.
    const now = !source || source.trackedBy.peek() === 'suggestion' ? (chosenTracked.peek()[key] ?? []) : source.tracked.peek();
    setTracked(key, now.includes(ref.neuron) ? now.filter((other) => other !== ref.neuron) : [...now, ref.neuron]);
  };
  /** @param {string} key of a source @param {number[]} neurons */
  const setTracked = (key, neurons) => { chosenTracked.value = { ...chosenTracked.peek(), [key]: neurons }; };

  /** Select neurons of one source, or nothing. @param {string} key @param {Iterable<number>} neurons @param {'replace' | 'add' | 'remove'} [how] */
  const select = (key, neurons, how = 'replace') => {
    const next = new Map(how === 'replace' ? [] : selection.peek());
    const chosen = new Set(how === 'replace' ? [] : (next.get(key) ?? []));
    for (const neuron of neurons) if (how === 'remove') chosen.delete(neuron); else chosen.add(neuron);
    if (chosen.size) next.set(key, chosen); else next.delete(key);
    selection.value = next;
  };
  const clearSelection = () => { selection.value = new Map(); };

  /** Pin a neuron's card, or take it away. @param {NeuronRef} ref */
  const togglePinned = (ref) => {
    const same = (/** @type {NeuronRef} */ other) => keyOf(other) === keyOf(ref) && other.neuron === ref.neuron;
    const now = state.pinned.peek();
    state.pinned.value = now.some(same) ? now.filter((other) => !same(other)) : [...now, ref];
  };

  /** @param {string} run */
  const chooseRun = (run) => keepingStep(() => {
    const layers = Object.keys(index.peek()?.runs[run]?.layers ?? {});
    const before = { run: primary.peek(), layer: layerName.peek() };
    if (!layers.includes(layerName.peek())) layerName.value = layers[layers.length - 1] ?? '';
    primary.value = run;
    // Two runs change places, so that choosing the one compared with does not lose the other.
    compared.value = compared.peek().map((one) => (one.run === run && one.layer === layerName.peek() ? before : one));
    forget();
  });

  /** @param {string} name */
  const chooseLayer = (name) => keepingStep(() => {
    const before = layerName.peek();
    layerName.value = name;
    // Runs that were shown at our layer follow us to the new one, where they have it.
    const listed = index.peek()?.runs ?? {};
    compared.value = compared.peek().map((one) => (one.layer === before && name in (listed[one.run]?.layers ?? byName()) ? { ...one, layer: name } : one))
      .filter((one) => keyOf(one) !== keyOf({ run: primary.peek(), layer: name }));
    forget();
  });
  const forget = () => { focus.value = null; hovered.value = null; selection.value = new Map(); };

  /** Show one more beside the first, or take it away. @param {Shown} shown */
  const toggleCompared = (shown) => {
    const now = compared.peek();
    if (now.some((one) => keyOf(one) === keyOf(shown))) compared.value = now.filter((one) => keyOf(one) !== keyOf(shown));
    else if (keyOf(shown) !== first.peek().key && now.length < MAX_COMPARED) compared.value = [...now, shown];
  };

  /** @param {string} name category name or NONE_KEY */
  const toggleCategory = (name) => {
    const next = new Set(state.hidden.peek());
    if (!next.delete(name)) next.add(name);
    state.hidden.value = next;
  };

  /** Show one category alone, or all again. @param {string} name category name or NONE_KEY @param {string[]} all of them */
  const isolateCategory = (name, all) => {
    const others = all.filter((other) => other !== name);
    const now = state.hidden.peek();
    const alone = !now.has(name) && others.every((other) => now.has(other));
    state.hidden.value = new Set(alone ? [] : others);
  };

  /** Ask for scalars of all shown runs. @param {string[]} tags */
  const wantScalars = (tags) => {
    const known = state.wantedScalars.peek();
    if (tags.some((tag) => !known.has(tag))) state.wantedScalars.value = new Set([...known, ...tags]);
  };

  return {
    ...state, runNames, runIndex, layerNames, sources, first, others, data, layer, steps, epoch, step, space, spaceAt, anchors, markedEvolution,
    updateRun, keepingStep, seek, sourceOf, toggleTracked, setTracked, select, clearSelection, togglePinned, chooseRun, chooseLayer, toggleCompared, toggleCategory, isolateCategory, wantScalars,
  };
}
