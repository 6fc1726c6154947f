// @ts-check
/**
 * Places of typed anchors: words that the concept space does not have are asked of the plugin, whose encoder may
 * need a while to load. What was placed is kept by concept space, because another space has another map.
 */
import { effect, signal, untracked } from '../lib.js';
import { secondsToWait, spelling } from '../model/anchors.js';
import { byName } from '../model/text.js';

/** @typedef {{state: 'loading' | 'busy' | 'failed', reason: string, suggestions: string[]}} Placing how far the plugin has come with a word */
/** @typedef {ReturnType<typeof createPlacing>} PlacingOf */

/** @param {import('../store.js').Store} store @param {import('../api.js').Api} api */
export function createPlacing(store, api) {
  const placing = signal(/** @type {Readonly<Record<string, Placing>>} */ ({}));
  /** By fingerprint of the space and word. @type {Map<string, [number, number]>} */
  const placed = new Map();
  /** @type {Set<string>} */
  const asked = new Set();

  /** @param {string} word @param {Placing | null} now */
  const note = (word, now) => {
    const { [word]: _, ...others } = placing.peek();
    placing.value = now ? { ...others, [word]: now } : others;
  };
  const isWanted = (/** @type {string} */ fingerprint, /** @type {string} */ word) => store.space.peek()?.fingerprint === fingerprint && (store.editedAnchors.peek() ?? []).includes(word);

  /** @param {string} run @param {string} fingerprint @param {string} word */
  const ask = async (run, fingerprint, word) => {
    const key = `${fingerprint}\n${word}`;
    if (asked.has(key)) return;
    asked.add(key);
    note(word, { state: 'loading', reason: '', suggestions: [] });
    for (let times = 0; isWanted(fingerprint, word); times++) {
      const answer = await api.anchor(run, word).catch(() => ({ status: 0, error: 'TensorBoard does not answer.', retryAfter: 5 }));
      if (answer.status === 200 && 'position' in answer && answer.position) {
        placed.set(key, answer.position);
        note(word, null);
        store.typedPlaces.value = byName(store.typedPlaces.peek(), { [word]: answer.position });
        break;
      }
      const { reason = '', suggestions = [] } = /** @type {import('../api.js').AnchorAnswer} */ (answer);
      if (answer.status === 202) note(word, { state: 'loading', reason: '', suggestions: [] });
      else if (answer.status === 429 || answer.status === 0) note(word, { state: 'busy', reason: answer.error ?? '', suggestions: [] });
      else { note(word, { state: 'failed', reason: reason || answer.error || 'It could not be placed.', suggestions }); break; }
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(answer.retryAfter, secondsToWait(times))));
    }
    asked.delete(key);
  };

  effect(() => {
    const space = store.space.value;
    const words = store.editedAnchors.value;
    const { run } = store.first.value;
    if (!space || !run) return;
    const typed = (words ?? []).filter((word) => spelling(space, word) === null);
    untracked(() => {
      /** @type {Record<string, [number, number]>} */
      const places = byName();
      for (const word of typed) {
        const place = placed.get(`${space.fingerprint}\n${word}`);
        if (place) places[word] = place;
        else if (placing.peek()[word]?.state !== 'failed') ask(run, space.fingerprint, word);
      }
      const before = store.typedPlaces.peek();
      if (Object.keys(before).length !== Object.keys(places).length || Object.keys(places).some((word) => before[word] !== places[word])) store.typedPlaces.value = places;
      for (const word of Object.keys(placing.peek())) if (!typed.includes(word)) note(word, null);
    });
  });
  return placing;
}
