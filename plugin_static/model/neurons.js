// @ts-check
/**
 * What the card of a neuron shows, from two sources: the layer's frames and details where they are in the page,
 * and the answers of the route `neuron` where they are not (other runs, steps whose details were never fetched).
 */
import { indexOfPlace } from './axis.js';
import { toPatch } from './images.js';
import { keyOf } from './run.js';
import { isInterpretable, isLoaded, isUnknown, isValid, conceptOf, similarityOf } from './layer.js';
import { nearestIndex } from './steps.js';
import { KNOWN_CATEGORIES, OTHER_SLOT, categoryOf, listCategories, wordOf } from './space.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {import('./space.js').Space} Space */
/** @typedef {import('./history.js').SpaceAt} SpaceAt */
/** @typedef {import('./images.js').Patch} Patch */
/** @typedef {import('../source.js').NeuronRef} NeuronRef */
/**
 * @typedef {object} Label what a neuron is at one step
 * @property {boolean} valid
 * @property {boolean} [unknown] not valid, though it has a signal: the semantic space knows none of its stimuli
 * @property {boolean} interpretable by the reader's threshold where there is one
 * @property {string} word best concept, interpretable or not; '' for none
 * @property {string} category
 * @property {number} slot of the category's colour
 * @property {number} similarity NaN where not known
 */
/** @typedef {{word: string, slot: number, similarity: number}} Concept */
/** @typedef {{id: number, patch: Patch | null}} TopImage */
/** @typedef {{concepts: Concept[], images: TopImage[]}} Detail best first */
/** @typedef {{from: number, to: number, word: string, slot: number}} Stretch indices of steps, both included; word '' for no clear concept */
/** @typedef {{step: number, valid: boolean, unknown?: boolean, interpretable: boolean, word: string, category: string, similarity: number | null, concepts?: AnsweredConcept[], top_images?: number[], top_patches?: (number[] | null)[]}} HistoryEntry */
/** @typedef {{word: string, category: string, similarity: number | null}} AnsweredConcept */
/** @typedef {{word: string, category: string, weight: number | null}} Term of a linear explanation, in standard deviations */
/** @typedef {{neuron: number, cosine?: number, distance?: number, valid: boolean, interpretable: boolean, word: string, category: string}} Neighbour */
/** @typedef {Neighbour & {run: string, layer: string, step: number}} Alike */
/**
 * @typedef {object} NeuronAnswer of the route `neuron`
 * @property {number} step
 * @property {AnsweredConcept[]} concepts
 * @property {number[]} top_images
 * @property {(number[] | null)[]} [top_patches]
 * @property {Term[]} [explanation] the largest weight first
 * @property {number | null} [explanation_fit] correlation of explanation and neuron, null where the log has none
 * @property {number | null} [num_concepts]
 * @property {string} [description] by a captioner
 * @property {HistoryEntry[]} history
 * @property {Neighbour[]} nearest
 * @property {Neighbour[]} nearest_euclidean the same by the distance of their embeddings
 * @property {string | null} nearest_error
 * @property {Alike[]} [across]
 * @property {number} [across_left_out]
 */

/** Finds the colour of a category by its name. @typedef {(category: string) => number} SlotOf */

/** @param {Space | null} space @returns {SlotOf} */
export function slotsOf(space) {
  const known = new Map((space?.categories ?? []).map(({ name, slot }) => [name, slot]));
  return (category) => {
    const slot = known.get(category) ?? listCategories([category])[0].slot;
    // Without the space a category of one's own cannot have its own colour.
    return known.has(category) || slot < KNOWN_CATEGORIES.length ? slot : OTHER_SLOT;
  };
}

/** From a loaded frame, null where it is not there. @param {Layer} layer @param {Space | null} space @param {number} epoch @param {number} neuron @returns {Label | null} */
export function labelFromFrame(layer, space, epoch, neuron) {
  if (!space || !isLoaded(layer, epoch) || neuron >= layer.neurons) return null;
  const concept = conceptOf(layer, epoch, neuron);
  const category = categoryOf(space, concept);
  return {
    valid: isValid(layer, epoch, neuron), unknown: isUnknown(layer, epoch, neuron), interpretable: isInterpretable(layer, epoch, neuron), word: concept < 0 ? '' : wordOf(space, concept),
    category: category?.label ?? '', slot: category?.slot ?? -1, similarity: concept < 0 ? NaN : similarityOf(layer, epoch, neuron),
  };
}

/** From the route's answer. @param {HistoryEntry} entry @param {number | null} cut the reader's threshold @param {SlotOf} slotOf @returns {Label} */
export function labelFromEntry(entry, cut, slotOf) {
  const similarity = entry.similarity ?? NaN;
  return {
    valid: entry.valid, unknown: Boolean(entry.unknown) && !entry.valid, interpretable: cut === null ? entry.interpretable : entry.valid && similarity > cut,
    word: entry.word, category: entry.category, slot: entry.word ? slotOf(entry.category) : -1, similarity,
  };
}

/** A life as stretches of one word each; where nothing is known yet, a stretch without word. @param {(Label | null)[]} life one for each step @returns {Stretch[]} */
export function stretchesOf(life) {
  /** @type {Stretch[]} */
  const stretches = [];
  life.forEach((label, at) => {
    const word = label?.interpretable ? label.word : '';
    const last = stretches[stretches.length - 1];
    if (last && last.word === word) last.to = at;
    else stretches.push({ from: at, to: at, word, slot: word && label ? label.slot : -1 });
  });
  return stretches;
}

/** From a layer's details, null where they are not there. @param {Layer} layer @param {Space | null} space @param {number} epoch @param {number} neuron @returns {Detail | null} */
export function detailFromLayer(layer, space, epoch, neuron) {
  const detail = layer.details[epoch];
  if (!detail || !space || neuron >= layer.neurons) return null;
  const concepts = [];
  for (let i = neuron * layer.topK; i < (neuron + 1) * layer.topK; i++) {
    if (detail.concept[i] >= 0) concepts.push({ word: wordOf(space, detail.concept[i]), slot: categoryOf(space, detail.concept[i])?.slot ?? OTHER_SLOT, similarity: detail.similarity[i] });
  }
  const images = [];
  for (let i = neuron * layer.images; i < (neuron + 1) * layer.images; i++) {
    if (detail.topImages[i] >= 0) images.push({ id: detail.topImages[i], patch: toPatch(detail.topPatches?.subarray(4 * i, 4 * i + 4)) });
  }
  return { concepts, images };
}

/** From the route's answer, null where it has only the label. @param {Partial<HistoryEntry>} entry @param {SlotOf} slotOf @returns {Detail | null} */
export function detailFromEntry({ concepts, top_images: images, top_patches: patches = [] }, slotOf) {
  if (!concepts || !images) return null;
  return {
    concepts: concepts.map(({ word, category, similarity }) => ({ word, slot: slotOf(category), similarity: similarity ?? NaN })),
    images: images.map((id, rank) => ({ id, patch: toPatch(patches[rank]) })),
  };
}

/**
 * Which steps a film strip shows: spread over the run, with the current one in the place of the nearest other, so
 * that the strip never changes its length.
 * @param {number} count of steps @param {number} at the current one @param {number} room how many fit
 * @returns {number[]} indices, ascending
 */
export function filmSteps(count, at, room) {
  const size = Math.min(count, Math.max(1, room));
  if (size <= 1) return count ? [at] : [];
  const spread = Array.from({ length: size }, (_, i) => Math.round((i * (count - 1)) / (size - 1)));
  if (spread.includes(at)) return spread;
  if (size === 2) return at < (count - 1) / 2 ? [at, count - 1] : [0, at];
  // The first and the last step stay: they are what one compares with.
  let nearest = 1;
  for (let i = 1; i < size - 1; i++) if (Math.abs(spread[i] - at) < Math.abs(spread[nearest] - at)) nearest = i;
  return spread.with(nearest, at).sort((a, b) => a - b);
}

/** Steps of the figure: first, last and what lies evenly between; the reader's own where they were chosen. @param {number[]} steps @param {number} count @param {number[] | null} chosen @returns {number[]} indices, ascending */
export function figureSteps(steps, count, chosen) {
  if (!steps.length) return [];
  const indices = chosen?.length ? chosen.map((step) => nearestIndex(steps, step)) : filmSteps(steps.length, 0, count);
  return [...new Set(indices)].sort((a, b) => a - b);
}

/** Whether two mean the same neuron. @param {NeuronRef | null} a @param {NeuronRef | null} b */
export const sameNeuron = (a, b) => a === b || (a !== null && b !== null && a.neuron === b.neuron && a.run === b.run && a.layer === b.layer);

/** A name for a neuron that no run or layer can imitate. @param {NeuronRef} ref */
export const neuronKey = (ref) => `${keyOf(ref)}\n${ref.neuron}`;

/** Cards in order: the neuron in focus, then the pinned ones. @param {NeuronRef | null} focus @param {NeuronRef[]} pinned @returns {NeuronRef[]} */
export function cardsOf(focus, pinned) {
  const others = pinned.filter((ref, i) => !sameNeuron(ref, focus) && pinned.findIndex((other) => sameNeuron(other, ref)) === i);
  return focus ? [focus, ...others] : others;
}

/**
 * @typedef {object} FigureCell
 * @property {number} step of the row's own run, the nearest to the column's place on the axis
 * @property {boolean} valid
 * @property {boolean} [unknown] not valid, though it has a signal
 * @property {boolean} interpretable
 * @property {string} word
 * @property {string} category
 * @property {number} slot of the category's colour, -1 for none
 * @property {number} similarity NaN where not known
 * @property {(TopImage & {url: string, tile: import('./images.js').Tile | null})[]} images best first; tile null: not in the log
 */
/** @typedef {{ref: NeuronRef, cells: FigureCell[]}} FigureRow */
/** @typedef {{steps: number[], rows: FigureRow[]}} NeuronFigure steps: of the first run, one for each column */

export const FIGURE_IMAGES = 4;
/** More rows are no figure any more. */
export const MAX_FIGURE_ROWS = 24;

/** Neurons of the figure: the pinned ones, else those tracked in the first run. @param {import('../store.js').Store} store @returns {NeuronRef[]} */
export function figureNeurons(store) {
  const { run, name: layer, tracked } = store.first.value;
  const pinned = store.pinned.value;
  return (pinned.length ? pinned : tracked.value.map((neuron) => ({ run, layer, neuron }))).slice(0, MAX_FIGURE_ROWS);
}

/** Its columns. @param {import('../store.js').Store} store @returns {number[]} indices of the first run's steps */
export const figureColumns = (store) => figureSteps(store.steps.value, store.figureCount.value, store.figureSteps.value);

/**
 * The figure's data, for export: rows of neurons, columns of steps, their most activating images and labels
 * (Concept-Monitor, thesis Fig. 2.1, second column).
 * @param {import('../store.js').Store} store @param {import('../api.js').Api} api @returns {Promise<NeuronFigure>}
 */
export async function neuronFigure(store, api) {
  const columns = figureColumns(store);
  const leading = store.first.value.places.value;
  const rows = await Promise.all(figureNeurons(store).map(async (ref) => {
    const source = store.sourceOf(keyOf(ref));
    const listed = store.index.value?.runs[ref.run]?.layers[ref.layer];
    const own = source?.steps.value ?? listed?.steps ?? [];
    if (!own.length) return { ref, cells: [] };
    const places = source?.places.value ?? own;
    const steps = columns.map((column) => own[Math.max(0, Math.min(own.length - 1, Math.round(indexOfPlace(places, leading[column]))))]);
    const answer = await api.neuron(ref.run, ref.layer, ref.neuron, steps[steps.length - 1], { k: 0, film: steps });
    const data = store.runs.value[ref.run];
    const slotOf = slotsOf(source?.space.value ?? null);
    const entries = new Map(answer.history.map((entry) => [entry.step, entry]));
    return { ref, cells: steps.map((step) => cellOf(step, entries.get(step), data?.tiles ?? new Map(), store.threshold.value, slotOf, (page) => api.imagePage(ref.run, page))) };
  }));
  return { steps: columns.map((column) => store.steps.value[column]), rows };
}

/** @param {number} step @param {HistoryEntry | undefined} entry @param {Map<number, import('./images.js').Tile>} tiles @param {number | null} cut @param {SlotOf} slotOf @param {(step: number) => string} pageOf @returns {FigureCell} */
function cellOf(step, entry, tiles, cut, slotOf, pageOf) {
  const label = entry ? labelFromEntry(entry, cut, slotOf) : { valid: false, interpretable: false, word: '', category: '', slot: -1, similarity: NaN };
  const images = (entry && detailFromEntry(entry, slotOf)?.images) ?? [];
  return { step, ...label, images: images.slice(0, FIGURE_IMAGES).map((image) => { const tile = tiles.get(image.id) ?? null; return { ...image, tile, url: tile ? pageOf(tile.step) : '' }; }) };
}

/** Makes the same object as before while it says the same, so that what follows from it is not done again. @template T @param {() => T} make @returns {() => T} */
export function steady(make) {
  /** @type {{value: T, text: string} | null} */
  let before = null;
  return () => {
    const value = make();
    const text = JSON.stringify(value);
    if (!before || before.text !== text) before = { value, text };
    return before.value;
  };
}

/** Keeps what was asked for last, up to a number of things. @template V */
export class Recent {
  /** @param {number} most */
  constructor(most) {
    this.most = most;
    /** @type {Map<string, V>} */
    this.map = new Map();
  }

  /** @param {string} key @returns {V | undefined} */
  get(key) {
    const value = this.map.get(key);
    if (value !== undefined) {
      this.map.delete(key);
      this.map.set(key, value);
    }
    return value;
  }

  /** @param {string} key @param {V} value */
  set(key, value) {
    this.map.delete(key);
    this.map.set(key, value);
    for (const oldest of this.map.keys()) {
      if (this.map.size <= this.most) break;
      this.map.delete(oldest);
    }
  }
}

/** Pixels between a point and the card beside it, and from the edge of what holds both. */
const GAP = 18;
const EDGE = 8;

/**
 * Where a card lies beside a point, so that it never covers it: on the right, else on the left, else above or below.
 * @param {{x: number, y: number}} point @param {{width: number, height: number}} card @param {{width: number, height: number}} well
 */
export function besidePoint({ x, y }, card, well) {
  const fit = (/** @type {number} */ place, /** @type {number} */ size, /** @type {number} */ room) => Math.round(Math.max(EDGE, Math.min(room - size - EDGE, place)));
  const top = fit(y - 60, card.height, well.height);
  if (x + GAP + card.width <= well.width - EDGE) return { left: fit(x + GAP, card.width, well.width), top };
  if (x - GAP - card.width >= EDGE) return { left: fit(x - GAP - card.width, card.width, well.width), top };
  const above = y - GAP - card.height;
  return { left: fit(x - card.width / 2, card.width, well.width), top: Math.round(above >= EDGE ? above : y + GAP) };
}
