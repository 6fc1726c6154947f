// @ts-check
/**
 * Keeps the store fed: what the reader looks at, nearest first, and what is new while training runs. A page shows
 * one step at a time, so the frame under the cursor comes first and the others follow in chunks around it; when
 * they are more than fit, those far from the cursor are let go.
 */
import { batch, computed, effect, signal, untracked } from './lib.js';
import { isHidden } from './host.js';
import { detailBytes, emptyLayer, frameBytes, keepOnly, relisted, withDetails, withFrames } from './model/layer.js';
import { locateImages } from './model/images.js';
import { ApiError } from './api.js';
import { emptyRunData } from './model/run.js';
import { defaultGroups, groupTags } from './model/scalars.js';
import { spaceFromContainer } from './model/space.js';
import { byName } from './model/text.js';
import { chooseChunk, keptAround } from './model/window.js';
import { tagOfAxis } from './model/axis.js';

/** @typedef {import('./store.js').Store} Store */
/** @typedef {import('./api.js').Api} Api */

const POLL_MS = 3000;
const POLL_BROKEN_MS = 6000;
/** One answer is about this large: long enough to be worth a request, short enough not to stutter. */
const CHUNK_BYTES = 3e6;
/** Frames and details that the page keeps, over all shown layers. */
const FRAME_BUDGET = 192e6;
const DETAIL_BUDGET = 48e6;
/** Details are fetched where the cursor rests, not for every step that flies by. */
const REST_MS = 120;

/** @param {Store} store @param {Api} api @returns {{refresh: () => Promise<void>}} */
export function startLoader(store, api) {
  /** @type {Set<string>} */
  const busy = new Set();
  /** Revision of the index for which a run's small data were fetched. @type {Map<string, string>} */
  const fetched = new Map();
  /** Counts requests that ended, so that whoever waits for a free line looks again. */
  const ended = signal(0);

  /** Run a task unless the same one is under way; a failure is shown, never thrown. @param {string} key @param {() => Promise<void>} task */
  const once = async (key, task) => {
    if (busy.has(key)) return;
    busy.add(key);
    try {
      await task();
    } catch (error) {
      store.problem.value = describe(error);
      // Not at once again: the next poll clears the problem and tries anew.
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    } finally {
      busy.delete(key);
      ended.value++;
    }
  };

  const refresh = () => once('runs', async () => {
    const answer = await api.runs(store.index.peek()?.revision);
    batch(() => {
      store.problem.value = '';
      if (!answer.unchanged) store.index.value = answer;
    });
    const listed = store.index.peek()?.runs ?? {};
    // What is shown stays when it is gone from the list: a TensorBoard that was started again lists runs one by one.
    if (Object.keys(listed).length && store.layer.peek() === null && !(store.layerName.peek() in (listed[store.primary.peek()]?.layers ?? byName()))) chooseFirst(store);
    // A link may name a run alone: then it is shown at our layer.
    if (store.compared.peek().some(({ layer }) => !layer)) store.compared.value = store.compared.peek().map(({ run, layer }) => ({ run, layer: layer || store.layerName.peek() }));
  });

  /** @param {string} run @param {string} revision */
  const loadRun = (run, revision) => once(`run ${run} ${revision}`, async () => {
    const known = store.runs.peek()[run] ?? emptyRunData();
    const fingerprints = store.index.peek()?.runs[run]?.spaces ?? [];
    const missing = fingerprints.filter((fingerprint) => !(fingerprint in known.spaces));
    const [timeline, alerts, tags, images, ...spaces] = await Promise.all([
      api.timeline(run),
      api.alerts(run).catch(() => ({ checked: [], alerts: [] })),
      api.scalarTags(run).catch(() => ({ tags: [] })),
      api.images(run).catch(() => ({ tile: 0, pages: [], skipped: [] })),
      // A space that cannot be read costs its own steps their words; the index tells what is wrong with it.
      ...missing.map((fingerprint) => api.space(run, fingerprint).catch((error) => { if (error instanceof ApiError) return null; throw error; })),
    ]);
    const now = store.runs.peek()[run] ?? known;
    store.updateRun(run, {
      timeline: timeline.layers,
      alerts: { checked: alerts.checked, alerts: alerts.alerts },
      tags: tags.tags,
      tiles: locateImages(images.pages, images.skipped),
      spaces: byName(now.spaces, Object.fromEntries(spaces.flatMap((answer) => (answer ? [[answer.attrs.fingerprint, spaceFromContainer(answer)]] : [])))),
    });
    fetched.set(run, revision);
    await loadScalars(run);
  });

  /** @param {string} run */
  const loadScalars = async (run) => {
    const { tags } = store.runs.peek()[run] ?? emptyRunData();
    const groups = groupTags(tags);
    const keys = store.scalarChoice.peek() ?? defaultGroups(groups);
    const chosen = groups.filter(({ key }) => keys.includes(key)).flatMap((group) => group.members.map(({ tag }) => tag));
    const members = [...new Set([...chosen, ...store.wantedScalars.peek(), tagOfAxis(store.axis.peek())])].filter((tag) => tags.includes(tag));
    const answers = await Promise.all(members.map((tag) => api.scalar(run, tag)));
    const now = store.runs.peek()[run] ?? emptyRunData();
    store.updateRun(run, { scalars: byName(now.scalars, Object.fromEntries(members.map((tag, i) => [tag, answers[i].points]))) });
  };

  /** @param {string} run @param {string} name @param {(layer: import('./model/layer.js').Layer) => import('./model/layer.js').Layer} change */
  const updateLayer = (run, name, change) => {
    const layers = store.runs.peek()[run]?.layers ?? {};
    if (layers[name]) store.updateRun(run, { layers: byName(layers, { [name]: change(layers[name]) }) });
  };

  /** Bring a layer's list of steps up to date. @param {string} run @param {string} name @param {import('./api.js').LayerIndex} listed */
  const listLayer = (run, name, listed) => {
    const layers = store.runs.peek()[run]?.layers ?? {};
    const have = layers[name];
    if (have && have.neurons === listed.neurons && same(have.steps, listed.steps) && same(have.wallTimes, listed.wall_times)) return;
    const layer = have ? relisted(have, listed) : emptyLayer(run, name, listed);
    store.keepingStep(() => store.updateRun(run, { layers: byName(layers, { [name]: layer }) }));
  };

  effect(() => {
    const answer = store.index.value;
    const shown = store.sources.value.map(({ run, name }) => ({ run, name }));
    if (!answer) return;
    untracked(() => batch(() => {
      for (const { run, name } of shown) {
        const listed = answer.runs[run];
        if (!listed) continue;
        if (fetched.get(run) !== answer.revision) loadRun(run, answer.revision);
        if (listed.layers[name]) listLayer(run, name, listed.layers[name]);
      }
      letGo(store, shown);
      forgetRemoved(store, shown).forEach((run) => { fetched.delete(run); });
    }));
  });

  /** Nothing more is asked for of what is not in the log (any more). @param {import('./source.js').Source} source */
  const isListed = ({ run, name }) => name in (store.index.value?.runs[run]?.layers ?? byName());

  effect(() => {
    void ended.value;
    for (const source of store.sources.value) {
      if (!isListed(source)) continue;
      const layer = source.layer.value;
      const at = source.epoch.value;
      const count = store.sources.value.length;
      if (!layer || busy.has(`frames ${source.key}`)) continue;
      const most = Math.max(3, Math.floor(FRAME_BUDGET / count / frameBytes(layer)));
      const missing = (/** @type {number} */ epoch) => layer.frames[epoch] === null;
      const chunk = chooseChunk(layer.steps.length, at, most, layer.frames[at] ? Math.max(1, Math.floor(CHUNK_BYTES / frameBytes(layer))) : 1, missing);
      if (!chunk) continue;
      untracked(() => once(`frames ${source.key}`, async () => {
        const answer = await api.layer(source.run, source.name, { from: layer.steps[chunk[0]], to: layer.steps[chunk[1]], part: 'frames' });
        const kept = keptAround(layer.steps.length, source.epoch.peek(), most);
        updateLayer(source.run, source.name, (now) => {
          const filled = withFrames(now, answer);
          return filled.loaded > most ? keepOnly(filled, kept, () => true) : filled;
        });
      }));
    }
  });

  const resting = computed(() => (store.playing.value ? null : store.sources.value.map((source) => [source, source.epoch.value])));
  effect(() => {
    void ended.value;
    const moments = /** @type {[import('./source.js').Source, number][] | null} */ (resting.value);
    if (!moments?.some(([source]) => isListed(source))) return undefined;
    const timer = setTimeout(() => {
      for (const [source, epoch] of moments) {
        const layer = source.layer.peek();
        if (!layer || layer.details[epoch] || !layer.frames[epoch] || !isListed(source)) continue;
        once(`details ${source.key}`, async () => {
          const step = layer.steps[epoch];
          const answer = await api.layer(source.run, source.name, { from: step, to: step, part: 'details' });
          const most = Math.max(2, Math.floor(DETAIL_BUDGET / moments.length / detailBytes(layer)));
          updateLayer(source.run, source.name, (now) => {
            const filled = withDetails(now, answer);
            const there = filled.details.flatMap((detail, at) => (detail ? [at] : [])).sort((a, b) => Math.abs(a - epoch) - Math.abs(b - epoch)).slice(0, most);
            return keepOnly(filled, () => true, (at) => there.includes(at));
          });
        });
      }
    }, REST_MS);
    return () => clearTimeout(timer);
  });

  effect(() => {
    void [store.scalarChoice.value, store.wantedScalars.value, store.axis.value];
    const runs = new Set(store.sources.value.map(({ run }) => run));
    untracked(() => runs.forEach((run) => once(`scalars ${run}`, () => loadScalars(run))));
  });

  const poll = async () => {
    if (!isHidden()) await refresh();
    setTimeout(poll, store.problem.peek() ? POLL_BROKEN_MS : POLL_MS);
  };
  poll();
  return { refresh };
}

/** Give back the memory of layers that are no longer shown; what is small stays. @param {Store} store @param {{run: string, name: string}[]} shown */
function letGo(store, shown) {
  let total = 0;
  const held = Object.entries(store.runs.peek()).flatMap(([run, data]) => Object.values(data.layers).map((layer) => ({ run, layer })));
  for (const { run, layer } of held) {
    if (shown.some((one) => one.run === run && one.name === layer.name)) continue;
    total += layer.loaded * frameBytes(layer);
    if (total <= FRAME_BUDGET / 4) continue;
    const { [layer.name]: _, ...layers } = store.runs.peek()[run].layers;
    store.updateRun(run, { layers: byName(layers) });
  }
}

/** Forget runs that are neither in the log any more nor shown. @param {Store} store @param {{run: string}[]} shown @returns {string[]} their names */
function forgetRemoved(store, shown) {
  const kept = new Set([...store.runNames.peek(), ...shown.map(({ run }) => run)]);
  const gone = Object.keys(store.runs.peek()).filter((run) => !kept.has(run));
  if (gone.length) store.runs.value = byName(Object.fromEntries(Object.entries(store.runs.peek()).filter(([run]) => kept.has(run))));
  return gone;
}

/** Show what a link asks for, as far as it is there. @param {Store} store */
function chooseFirst(store) {
  const names = store.runNames.peek();
  const withData = names.filter((name) => Object.keys(store.index.peek()?.runs[name].layers ?? {}).length);
  const wanted = { run: store.primary.peek(), layer: store.layerName.peek() };
  const run = names.includes(wanted.run) ? wanted.run : (withData[0] ?? names[0]);
  const layers = Object.keys(store.index.peek()?.runs[run].layers ?? {});
  const layer = layers.includes(wanted.layer) ? wanted.layer : (layers[layers.length - 1] ?? '');
  batch(() => {
    store.primary.value = run;
    store.layerName.value = layer;
    store.compared.value = store.compared.peek().filter((one) => names.includes(one.run));
  });
}

/** @param {number[]} a @param {number[]} b */
const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

/** @param {unknown} error */
function describe(error) {
  if (error instanceof TypeError) return 'TensorBoard does not answer. Trying again…';
  return error instanceof Error ? error.message : String(error);
}
