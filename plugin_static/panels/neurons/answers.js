// @ts-check
/**
 * Fetches what the cards need of the route `neuron`: only when time rests, a few requests at once, none that is
 * outdated; what was answered is kept, the latest neurons first.
 */
import { MOST_NEIGHBOURS } from '../../store.js';
import { effect, signal, untracked } from '../../lib.js';
import { locateImages } from '../../model/images.js';
import { Recent, neuronKey } from '../../model/neurons.js';
import { spaceFromContainer } from '../../model/space.js';
import { byName } from '../../model/text.js';

/** @typedef {import('../../source.js').NeuronRef} NeuronRef */
/** @typedef {import('../../model/neurons.js').HistoryEntry} HistoryEntry */
/** @typedef {import('../../model/neurons.js').NeuronAnswer} NeuronAnswer */
/**
 * @typedef {object} Known what was answered of one neuron; never changed in place
 * @property {ReadonlyMap<number, HistoryEntry>} history by step
 * @property {ReadonlyMap<number, Partial<HistoryEntry>>} details concepts and images by step
 * @property {ReadonlyMap<number, NeuronAnswer>} moments neighbours by step
 */
/** @typedef {{known: import('../../lib.js').Signal<Known>, loading: import('../../lib.js').Signal<boolean>, problem: import('../../lib.js').Signal<string>, times: number[], control: AbortController | null}} Record */
/** @typedef {{step: number, film: number[], across: boolean}} Wanted */
/** @typedef {ReturnType<typeof createAnswers>} NeuronAnswers */

/** @type {Known} */
const NOTHING = { history: new Map(), details: new Map(), moments: new Map() };
const REST_MS = 200;
const MAX_NEURONS = 80;
const MAX_MOMENTS = 24;
const MAX_AT_ONCE = 3;
/** The route answers no more steps of a film at once. */
const MAX_FILM = 64;

/** @param {import('../../store.js').Store} store @param {import('../../api.js').Api} api */
export function createAnswers(store, api) {
  /** @type {Recent<Record>} */
  const records = new Recent(MAX_NEURONS);
  /** @type {(() => void)[]} */
  const waiting = [];
  let running = 0;

  const next = () => {
    while (running < MAX_AT_ONCE && waiting.length) {
      running++;
      /** @type {() => void} */ (waiting.shift())();
    }
  };
  const done = () => { running--; next(); };

  const listed = (/** @type {NeuronRef} */ ref) => store.index.value?.runs[ref.run]?.layers[ref.layer] ?? null;

  /** @param {NeuronRef} ref @returns {Record} */
  const of = (ref) => {
    const key = neuronKey(ref);
    let record = records.get(key);
    if (!record) {
      record = { known: signal(NOTHING), loading: signal(false), problem: signal(''), times: [], control: null };
      records.set(key, record);
    }
    return record;
  };

  /** Whether an answer would tell something new. @param {Record} record @param {number[]} times @param {Wanted} wanted */
  const missing = (record, times, { step, film, across }) => {
    const { details, moments } = record.known.peek();
    const moment = moments.get(step);
    return record.times.length !== times.length || !moment || (across && !moment.across) || film.some((one) => !details.has(one));
  };

  /** Ask for a neuron at a step, soon. Call where time rests. @param {NeuronRef} ref @param {Wanted} wanted @param {Record} [record] of the neuron @returns {() => void} give up */
  const want = (ref, wanted, record = of(ref)) => untracked(() => {
    const times = listed(ref)?.wall_times ?? [];
    // A run that was started again may have logged the same steps anew: the clock tells.
    if (record.times.some((time, i) => times[i] !== time)) { record.known.value = NOTHING; record.times = []; }
    if (!times.length || !missing(record, times, wanted)) return () => {};
    const control = new AbortController();
    const start = () => {
      if (control.signal.aborted) return done();
      record.loading.value = true;
      record.control = control;
      const film = wanted.film.filter((one) => one !== wanted.step && !record.known.peek().details.has(one)).slice(0, MAX_FILM);
      api.neuron(ref.run, ref.layer, ref.neuron, wanted.step, { k: MOST_NEIGHBOURS, across: wanted.across, film, signal: control.signal })
        .then((answer) => { record.problem.value = ''; record.times = times; record.known.value = merged(record.known.peek(), answer); })
        .catch((error) => { if (!control.signal.aborted) record.problem.value = describe(error); })
        .finally(() => { if (record.control === control) record.loading.value = false; done(); });
      return undefined;
    };
    const timer = setTimeout(() => { waiting.push(start); next(); }, REST_MS);
    return () => { clearTimeout(timer); control.abort(); };
  });

  /** Runs whose images and words were asked for here, because they are not among those shown. @type {Set<string>} */
  const asked = new Set();
  /** @param {string} run */
  const wantRun = (run) => {
    if (asked.has(run) || store.sources.peek().some((source) => source.run === run) || store.runs.peek()[run]?.tiles.size) return;
    asked.add(run);
    Promise.all([api.images(run), api.space(run)]).then(([images, space]) => untracked(() => {
      const now = store.runs.peek()[run];
      store.updateRun(run, { tiles: locateImages(images.pages, images.skipped), spaces: byName(now?.spaces, { [space.attrs.fingerprint]: spaceFromContainer(space) }) });
    })).catch(() => { asked.delete(run); });
  };
  // Another log directory state may have what was missing before.
  effect(() => { void store.index.value; asked.clear(); });

  return { of, want, wantRun };
}

/** @param {Known} known @param {NeuronAnswer} answer @returns {Known} */
function merged(known, answer) {
  const details = new Map(known.details);
  for (const entry of answer.history) if (entry.top_images) details.set(entry.step, entry);
  details.set(answer.step, answer);
  const moments = new Map([...known.moments].slice(-MAX_MOMENTS + 1));
  moments.delete(answer.step);
  moments.set(answer.step, answer);
  return { history: new Map(answer.history.map((entry) => [entry.step, entry])), details, moments };
}

/** @param {unknown} error */
function describe(error) {
  if (error instanceof TypeError) return 'TensorBoard does not answer';
  return error instanceof Error ? error.message : String(error);
}
