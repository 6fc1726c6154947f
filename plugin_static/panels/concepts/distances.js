// @ts-check
/** Distances of words to their nearest neuron as the plugin answers them: asked for once, kept while they hold. */
import { signal } from '../../lib.js';

/** @typedef {import('../../model/anchors.js').Series} Series */
/** @typedef {import('../../source.js').Source} Source */
/** @typedef {ReturnType<typeof createDistances>} Distances */
/** @typedef {{all: Series, gated: Series}} Both over all neurons with a signal, and over the interpretable ones alone */
/** @typedef {{distance: (number | null)[], neuron: (number | null)[], gated_distance: (number | null)[], gated_neuron: (number | null)[]}} StepDistances of all concepts of a space */

/** As many words as the route takes at once. */
const BATCH = 64;
const KEPT_STEPS = 8;
const RETRY_MS = 10000;

/** @param {import('../../api.js').Api} api */
export function createDistances(api) {
  /** By source and word. */
  const series = signal(/** @type {ReadonlyMap<string, Both>} */ (new Map()));
  const steps = signal(/** @type {ReadonlyMap<string, StepDistances>} */ (new Map()));
  /** What keeps the plugin from answering, by source. */
  const problems = signal(/** @type {Readonly<Record<string, string>>} */ ({}));
  /** @type {Set<string>} */
  const busy = new Set();

  /** Changes when the run logs more. @param {Source} source */
  const stateOf = (source) => `${source.key}\n${source.steps.value.length} ${source.wallTimes.value[source.steps.value.length - 1]}`;
  /** @param {Source} source @param {string} word */
  const nameOf = (source, word) => `${stateOf(source)}\n${word}`;

  /** @param {string} key @param {string[]} names @param {() => Promise<void>} ask */
  const once = async (key, names, ask) => {
    names.forEach((name) => busy.add(name));
    const free = () => names.forEach((name) => busy.delete(name));
    try {
      await ask();
      problems.value = { ...problems.peek(), [key]: '' };
      free();
    } catch (error) {
      problems.value = { ...problems.peek(), [key]: error instanceof TypeError ? 'TensorBoard does not answer.' : String(error instanceof Error ? error.message : error) };
      setTimeout(free, RETRY_MS);
    }
  };

  return {
    problems,
    /** A word over all steps; null until it came. Reading it is no request. @param {Source} source @param {string} word */
    of: (source, word) => series.value.get(nameOf(source, word)) ?? null,
    /** All concepts at a step; null until they came. @param {Source} source @param {number} step */
    at: (source, step) => steps.value.get(`${source.key}\n${step}`) ?? null,

    /** Ask for words over all steps, where they are not known. @param {Source} source @param {string[]} words */
    want: (source, words) => {
      const missing = words.filter((word) => !series.peek().has(nameOf(source, word)) && !busy.has(nameOf(source, word)));
      for (let from = 0; from < missing.length; from += BATCH) {
        const batch = missing.slice(from, from + BATCH);
        const names = batch.map((word) => nameOf(source, word));
        once(source.key, names, async () => {
          const answer = await api.wordDistances(source.run, source.name, batch);
          const next = new Map(series.peek());
          answer.words.forEach((word, i) => next.set(names[i], {
            all: { steps: answer.steps, distance: word.distance, neuron: word.neuron },
            gated: { steps: answer.steps, distance: word.gated_distance, neuron: word.gated_neuron },
          }));
          series.value = next;
        });
      }
    },
    /** Ask for all concepts at a step. @param {Source} source @param {number} step */
    wantStep: (source, step) => {
      const name = `${source.key}\n${step}`;
      if (!Number.isFinite(step) || steps.peek().has(name) || busy.has(name)) return;
      once(source.key, [name], async () => {
        const answer = await api.stepDistances(source.run, source.name, step);
        steps.value = new Map([...steps.peek(), /** @type {const} */ ([name, answer])].slice(-KEPT_STEPS));
      });
    },
  };
}
