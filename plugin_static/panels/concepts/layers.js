// @ts-check
/** Concepts of the run's other layers at the step shown: fetched where the cursor rests, a few kept. */
import { computed, effect, signal, untracked } from '../../lib.js';
import { countLabels } from '../../model/concepts.js';
import { emptyLayer, frameBytes, isLoaded, withFrames } from '../../model/layer.js';
import { keyOf } from '../../model/run.js';

/** @typedef {import('../../store.js').Store} Store */
/** @typedef {import('../../model/layer.js').Layer} Layer */
/** @typedef {ReadonlyMap<string, number>} CountByWord */

const KEPT_BYTES = 24e6;
const REST_MS = 150;
const RETRY_MS = 5000;

/**
 * @param {Store} store @param {import('../../api.js').Api} api @param {import('../../lib.js').Signal<boolean>} isShown
 * @returns {import('../../lib.js').Signal<ReadonlyMap<string, CountByWord | null>>} by name of the layer; null: not there yet, or not logged at this step
 */
export function watchLayers(store, api, isShown) {
  /** Layers of one step each, the one used last at the end. @type {Map<string, Layer>} */
  const fetched = new Map();
  const came = signal(0);
  /** @type {Set<string>} */
  const busy = new Set();

  const names = computed(() => store.layerNames.value.filter((name) => name !== store.first.value.name));
  /** @param {string} name */
  const keyFor = (name) => {
    const listed = store.runIndex.value?.layers[name];
    const at = listed ? listed.steps.indexOf(store.step.value) : -1;
    return listed && at >= 0 ? { listed, at, key: `${keyOf({ run: store.first.value.run, layer: name })}\n${listed.steps[at]}\n${listed.wall_times[at]}` } : null;
  };

  /** The step of another layer where it is at hand. @param {string} name @returns {[Layer, number] | null} */
  const find = (name) => {
    const shown = store.data.value.layers[name];
    const epoch = shown ? shown.steps.indexOf(store.step.value) : -1;
    if (shown && isLoaded(shown, epoch)) return [shown, epoch];
    void came.value;
    const wanted = keyFor(name);
    const layer = wanted && fetched.get(wanted.key);
    return layer ? [layer, 0] : null;
  };

  const fetchStep = async (/** @type {string} */ name) => {
    const wanted = keyFor(name);
    if (!wanted || find(name) || busy.has(wanted.key)) return;
    const { listed: { neurons, steps, wall_times: times }, at, key } = wanted;
    const { run } = store.first.peek();
    busy.add(key);
    try {
      const answer = await api.layer(run, name, { from: steps[at], to: steps[at], part: 'frames' });
      fetched.set(key, withFrames(emptyLayer(run, name, { neurons, steps: [steps[at]], wall_times: [times[at]] }), answer));
      letGo(fetched);
      came.value++;
      busy.delete(key);
    } catch {
      // Without its numbers the column stays empty; what keeps TensorBoard from answering is told elsewhere.
      setTimeout(() => { busy.delete(key); came.value++; }, RETRY_MS);
    }
  };
  effect(() => {
    void [came.value, store.step.value, store.runIndex.value];
    if (!isShown.value || store.playing.value) return undefined;
    const wanted = names.value;
    const timer = setTimeout(() => untracked(() => wanted.forEach(fetchStep)), REST_MS);
    return () => clearTimeout(timer);
  });

  return computed(() => new Map(!isShown.value ? [] : names.value.map((name) => {
    const found = find(name);
    if (!found) return [name, null];
    const [layer, epoch] = found;
    const space = store.data.value.spaces[layer.spaces[epoch]];
    if (!space) return [name, null];
    const counts = countLabels({ ...layer, cut: store.threshold.value }, epoch, space.words.length);
    /** @type {Map<string, number>} */
    const byWord = new Map();
    counts.forEach((count, concept) => { if (count) byWord.set(space.words[concept], count); });
    return [name, byWord];
  })));
}

/** Keep the newest within the budget. @param {Map<string, Layer>} fetched */
function letGo(fetched) {
  let total = 0;
  for (const [key, layer] of [...fetched].reverse()) {
    total += frameBytes(layer);
    if (total > KEPT_BYTES && fetched.size > 1) fetched.delete(key);
  }
}
