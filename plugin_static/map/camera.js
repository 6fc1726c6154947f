// @ts-check
/**
 * One camera for all maps of one concept space. A map of another space keeps a camera of its own: the same place
 * on the screen would mean something else there.
 */
import { computed, signal, untracked } from '../lib.js';
import { isStranger } from '../panels/compare/columns.js';

/** @typedef {import('../store.js').Store} Store */

const WHOLE = { k: 1, x: 0, y: 0 };

/**
 * @param {Store} store @param {() => import('../source.js').Source | undefined} lead source of the map
 * @returns {{store: Store, reset: () => void}} the store as this map sees it
 */
export function ownCamera(store, lead) {
  const own = signal(WHOLE);
  const apart = computed(() => { const source = lead(); return Boolean(source && isStranger(store, source)); });
  const camera = {
    get value() { return apart.value ? own.value : store.view.value; },
    set value(view) { if (untracked(() => apart.value)) own.value = view; else store.view.value = view; },
    peek: () => untracked(() => (apart.value ? own.peek() : store.view.peek())),
  };
  return {
    store: { ...store, view: /** @type {Store['view']} */ (/** @type {unknown} */ (camera)) },
    reset: () => { own.value = WHOLE; },
  };
}
