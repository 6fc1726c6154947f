// @ts-check
/** Finding a concept, a neuron, an anchor, a category or a layer by typing. */
import { countLabels } from './concepts.js';
import { labelOf } from './layer.js';
import { spelling } from './anchors.js';
import { categoryOf, wordOf } from './space.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {import('./space.js').Space} Space */
/** @typedef {{type: 'concept', word: string, slot: number, count: number, x: number, y: number}} ConceptMatch count: neurons now */
/** @typedef {{type: 'neuron', layer: string, neuron: number, word: string, slot: number}} NeuronMatch word: '' where it has none, or the layer is not shown */
/** @typedef {{type: 'anchor', word: string, x: number, y: number}} AnchorMatch */
/** @typedef {{type: 'category', name: string, label: string, slot: number}} CategoryMatch */
/** @typedef {{type: 'layer', layer: string, neurons: number}} LayerMatch */
/** @typedef {{type: 'add', word: string, isConcept: boolean}} AddMatch a word that could be an anchor */
/** @typedef {ConceptMatch | NeuronMatch | AnchorMatch | CategoryMatch | LayerMatch | AddMatch} Match */
/** @typedef {{title: string, matches: Match[]}} MatchGroup */
/**
 * @typedef {object} Searched
 * @property {Space} space
 * @property {Layer} layer
 * @property {number} epoch
 * @property {Record<string, number>} layers neurons of every layer of the run
 * @property {{word: string, x: number, y: number}[]} anchors
 */

const MOST = { concepts: 7, others: 3 };
/** The longest word that the plugin places. */
const MAX_WORD = 80;

/** @type {WeakMap<string[], string[]>} */
const lowered = new WeakMap();
/** Words in small letters, made once. @param {string[]} words */
function smallLetters(words) {
  let lower = lowered.get(words);
  if (!lower) lowered.set(words, (lower = words.map((word) => word.toLowerCase())));
  return lower;
}

/**
 * @param {string} query @param {Searched} what
 * @returns {MatchGroup[]} groups with something in them; what fits best first in each
 */
export function searchMatches(query, { space, layer, epoch, layers, anchors }) {
  const wanted = query.trim().replace(/\s+/g, ' ').toLowerCase();
  if (!wanted) return [];
  const fits = (/** @type {string} */ text) => matchQuality(text.toLowerCase(), wanted) < WORST;
  /** @type {MatchGroup[]} */
  const groups = [
    { title: 'Neurons', matches: neuronMatches(wanted, space, layer, epoch, layers) },
    { title: 'Concepts', matches: conceptMatches(wanted, space, layer, epoch) },
    { title: 'Anchors', matches: anchors.filter(({ word }) => fits(word)).map((anchor) => ({ type: 'anchor', ...anchor })) },
    { title: 'Categories', matches: space.categories.filter(({ label }) => matchQuality(label.toLowerCase(), wanted) <= PREFIX).map(({ name, label, slot }) => ({ type: 'category', name, label, slot })) },
    { title: 'Layers', matches: Object.entries(layers).filter(([name]) => name !== layer.name && fits(name)).map(([name, neurons]) => ({ type: 'layer', layer: name, neurons })) },
  ];
  // A number is a neuron, and hardly a word to be learned.
  const word = spelling(space, wanted) ?? query.trim().replace(/\s+/g, ' ');
  const isAnchor = anchors.some((anchor) => anchor.word.toLowerCase() === wanted);
  if (!isAnchor && wanted.length > 1 && wanted.length <= MAX_WORD && !/\d/.test(wanted)) {
    groups.push({ title: 'Add', matches: [{ type: 'add', word, isConcept: spelling(space, wanted) !== null }] });
  }
  return groups
    .map(({ title, matches }) => ({ title, matches: matches.slice(0, title === 'Concepts' ? MOST.concepts : MOST.others) }))
    .filter(({ matches }) => matches.length > 0);
}

const EXACT = 0;
const PREFIX = 1;
const WORST = 4;
/** How well a text fits: the whole, its beginning, the beginning of a word in it, any part, not at all. @param {string} text @param {string} wanted */
function matchQuality(text, wanted) {
  const at = text.indexOf(wanted);
  if (at < 0) return WORST;
  if (at === 0) return text.length === wanted.length ? EXACT : PREFIX;
  return /[\s\-_/]/.test(text[at - 1]) ? 2 : 3;
}

/** @param {string} wanted @param {Space} space @param {Layer} layer @param {number} epoch @returns {ConceptMatch[]} */
function conceptMatches(wanted, space, layer, epoch) {
  const counts = countLabels(layer, epoch, space.words.length);
  const lower = smallLetters(space.words);
  const isBefore = (/** @type {number[]} */ a, /** @type {number[]} */ b) => (a[1] - b[1] || b[2] - a[2] || (lower[a[0]] < lower[b[0]] ? -1 : 1)) < 0;
  /** Only the best few are kept in order: sorting all words that fit would be felt. @type {[number, number, number][]} */
  const best = [];
  for (let concept = 0; concept < lower.length; concept++) {
    const quality = matchQuality(lower[concept], wanted);
    if (quality === WORST) continue;
    const found = /** @type {[number, number, number]} */ ([concept, quality, counts[concept]]);
    if (best.length === MOST.concepts && !isBefore(found, best[best.length - 1])) continue;
    const at = best.findIndex((other) => isBefore(found, other));
    best.splice(at < 0 ? best.length : at, 0, found);
    best.length = Math.min(best.length, MOST.concepts);
  }
  return best.map(([concept, , count]) => ({ type: 'concept', word: space.words[concept], slot: slotOf(space, concept), count, x: space.position[2 * concept], y: space.position[2 * concept + 1] }));
}

/** A number, perhaps with "neuron" or the name of a layer before it. */
const NEURON = /^(?:(.+?)\s*[:/]\s*)?(?:neuron\s*|n\s*|#\s*)?(\d{1,9})$/;

/** @param {string} wanted @param {Space} space @param {Layer} layer @param {number} epoch @param {Record<string, number>} layers @returns {NeuronMatch[]} */
function neuronMatches(wanted, space, layer, epoch, layers) {
  const parts = NEURON.exec(wanted);
  if (!parts) return [];
  const neuron = Number(parts[2]);
  const prefix = parts[1];
  const names = Object.keys(layers).filter((name) => (prefix === undefined ? name === layer.name : matchQuality(name.toLowerCase(), prefix) < WORST));
  return names.filter((name) => neuron < layers[name]).map((name) => {
    const concept = name === layer.name ? labelOf(layer, epoch, neuron) : -1;
    return { type: 'neuron', layer: name, neuron, word: wordOf(space, concept), slot: slotOf(space, concept) };
  });
}

/** @param {Space} space @param {number} concept */
const slotOf = (space, concept) => categoryOf(space, concept)?.slot ?? -1;
