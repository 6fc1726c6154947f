// @ts-check
/** Asks the route `evolutions` for what the panel shows; what was answered stays until the next answer is there. */
import { ApiError } from '../../api.js';
import { computed, effect, signal, untracked } from '../../lib.js';
import { classShown, layerShown, pairShown } from '../../model/evolutions.js';
import { steady } from '../../model/neurons.js';

/** @typedef {import('../../store.js').Store} Store */
/** @template T @typedef {import('../../lib.js').Signal<T>} Signal */
/**
 * @template Q, A
 * @typedef {object} Told
 * @property {Q | null} question that was answered last
 * @property {A | null} answer
 * @property {string} problem why the question asked now has no answer, '' while it may get one
 */
/** @typedef {ReturnType<typeof createEvolutionAnswers>} EvolutionAnswers */

/** @param {Store} store @param {import('../../api.js').Api} api @param {Signal<boolean>} isShown */
export function createEvolutionAnswers(store, api, isShown) {
  const run = computed(() => (isShown.value ? store.first.value.run : ''));
  // A table that is added makes the run newer, and so does an epoch that tells more of its neurons.
  const revision = computed(() => store.index.value?.revision ?? '');

  const pairs = follow(store, computed(steady(() => (run.value ? { run: run.value, revision: revision.value } : null))), (wish, stop) => api.evolutionPairs(wish.run, stop));
  /** Pairs of the shown run, null while they are not known. */
  const listed = computed(() => (pairs.told.value.question?.run === run.value ? pairs.told.value.answer : null));
  const pair = computed(() => (listed.value ? pairShown(listed.value.pairs, store.pair.value) : null));

  const table = follow(store, computed(steady(() => (pair.value ? { run: run.value, ...pair.value } : null))), (wish, stop) => api.evolutionTable(wish.run, wish.from, wish.to, stop));
  /** Classes and layers of the shown pair, null while they are not known. */
  const content = computed(() => {
    const { question, answer } = table.told.value;
    const now = pair.value;
    return now && question && question.run === run.value && question.from === now.from && question.to === now.to ? answer : null;
  });
  /** What is to be ranked. @type {Signal<import('../../model/evolutions.js').Ranking | null>} */
  const asked = computed(steady(() => {
    const [now, told] = [pair.value, content.value];
    const name = told ? classShown(told, store.evolutionClass.value) : null;
    return now && told && name !== null ? { run: run.value, from: now.from, to: now.to, class: name, layer: layerShown(told, store.evolutionLayer.value), order: store.evolutionOrder.value } : null;
  }));
  const ranking = follow(store, computed(steady(() => (asked.value ? { ...asked.value, k: store.evolutionCount.value, revision: revision.value, time: pair.value?.wall_time } : null))), (wish, stop) => api.evolutions(wish, wish.k, stop));

  effect(() => { const now = asked.value; if (isShown.value) untracked(() => { store.evolution.value = now; }); });
  const again = () => [pairs, table, ranking].forEach(({ told, retry }) => { if (told.peek().problem) retry(); });
  const problem = computed(() => pairs.told.value.problem || table.told.value.problem || ranking.told.value.problem);
  return { listed, pair, content, asked, ranking: ranking.told, problem, again };
}

/**
 * The latest answer to a question that changes.
 * @template Q, A @param {Store} store @param {Signal<Q | null>} wish the same object while it asks the same @param {(wish: Q, stop: AbortSignal) => Promise<A>} ask
 */
function follow(store, wish, ask) {
  const told = signal(/** @type {Told<Q, A>} */ ({ question: null, answer: null, problem: '' }));
  const retries = signal(0);
  let away = false;
  effect(() => {
    const now = wish.value;
    void retries.value;
    if (now === null) { untracked(() => { if (told.value.problem) told.value = { ...told.value, problem: '' }; }); return undefined; }
    const control = new AbortController();
    ask(now, control.signal)
      .then((answer) => { away = false; if (!control.signal.aborted) told.value = { question: now, answer, problem: '' }; })
      .catch((error) => {
        if (control.signal.aborted) return;
        away = !(error instanceof ApiError);
        // Without TensorBoard what was there stays; what it refuses is not there.
        told.value = { ...(away ? told.peek() : { question: now, answer: null }), problem: away ? 'TensorBoard does not answer' : error.message };
      });
    return () => control.abort();
  });
  effect(() => { if (store.problem.value === '' && away) { away = false; untracked(() => { retries.value++; }); } });
  return { told, retry: () => { retries.value++; } };
}
