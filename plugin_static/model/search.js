// @ts-check
/** Finding a concept or a neuron by typing. */
import { labelOf } from './layer.js';
import { wordOf } from './space.js';

/** @typedef {{type: 'concept', word: string, slot: number, count: number}} ConceptMatch */
/** @typedef {{type: 'neuron', neuron: number, word: string, slot: number}} NeuronMatch */

/**
 * @param {string} query a word, a part of one, or a neuron's number
 * @param {import('./layer.js').Layer} layer @param {import('./space.js').Space} space @param {number} epoch
 * @param {number} [limit]
 * @returns {(ConceptMatch | NeuronMatch)[]} words that begin with the query first, then those that many neurons detect
 */
export function searchMatches(query, layer, space, epoch, limit = 8) {
  const wanted = query.trim().toLowerCase();
  if (!wanted) return [];
  /** @type {(ConceptMatch | NeuronMatch)[]} */
  const found = [];
  const number = /^(?:neuron\s*|#)?(\d+)$/.exec(wanted);
  if (number && Number(number[1]) < layer.neurons) {
    const neuron = Number(number[1]);
    const concept = labelOf(layer, epoch, neuron);
    found.push({ type: 'neuron', neuron, word: wordOf(space, concept), slot: slotOf(space, concept) });
  }
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    const concept = labelOf(layer, epoch, neuron);
    if (concept >= 0) counts.set(concept, (counts.get(concept) ?? 0) + 1);
  }
  const words = space.words
    .map((word, concept) => ({ word, concept, at: word.toLowerCase().indexOf(wanted), count: counts.get(concept) ?? 0 }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => Number(a.at > 0) - Number(b.at > 0) || b.count - a.count || a.word.localeCompare(b.word));
  for (const { word, concept, count } of words.slice(0, limit)) {
    found.push({ type: 'concept', word, slot: slotOf(space, concept), count });
  }
  return found.slice(0, limit);
}

/** @param {import('./space.js').Space} space @param {number} concept */
const slotOf = (space, concept) => (concept < 0 ? -1 : space.categories[space.categoryOfWord[concept]].slot);
