// @ts-check
/** Keeps the store fed: fetches what the reader looks at, and what is new while training runs. */
import { batch, effect, untracked } from './lib.js';
import { isHidden } from './host.js';
import { appendLayer, layerFromContainer } from './model/layer.js';
import { locateImages } from './model/images.js';
import { spaceFromContainer } from './model/space.js';
import { defaultGroups, groupTags } from './model/scalars.js';
import { emptyRunData } from './store.js';

/** @typedef {import('./store.js').Store} Store */
/** @typedef {import('./api.js').Api} Api */

const POLL_MS = 3000;
const POLL_BROKEN_MS = 6000;

/**
 * @param {Store} store @param {Api} api @param {Record<string, string>} wanted state from the address
 * @returns {{refresh: () => Promise<void>}}
 */
export function startLoader(store, api, wanted) {
  /** @type {Set<string>} */
  const busy = new Set();
  /** Revision of the index for which a run's small data were fetched. @type {Record<string, string>} */
  const fetched = {};
  /** Wall times of the steps that were fetched, by run and layer. @type {Record<string, number[]>} */
  const loadedTimes = {};

  /** Run a task unless the same one is under way; a failure is shown, never thrown. @param {string} key @param {() => Promise<void>} task */
  const once = async (key, task) => {
    if (busy.has(key)) return;
    busy.add(key);
    try {
      await task();
    } catch (error) {
      store.problem.value = describe(error);
    } finally {
      busy.delete(key);
    }
  };

  const refresh = () => once('runs', async () => {
    const answer = await api.runs();
    batch(() => {
      store.problem.value = '';
      if (answer.revision !== store.index.peek()?.revision) store.index.value = answer;
    });
    if (Object.keys(answer.runs).length && !(store.primary.peek() in answer.runs)) chooseFirst(store, wanted);
  });

  /** @param {string} run @param {string} revision */
  const loadRun = (run, revision) => once(`run ${run} ${revision}`, async () => {
    const known = store.runs.peek()[run] ?? emptyRunData();
    const fingerprints = store.index.peek()?.runs[run]?.spaces ?? [];
    const missing = fingerprints.filter((fingerprint) => !(fingerprint in known.spaces));
    const [timeline, tags, images, ...spaces] = await Promise.all([
      api.timeline(run),
      api.scalarTags(run).catch(() => ({ tags: [] })),
      api.images(run).catch(() => ({ tile: 0, pages: [] })),
      ...missing.map((fingerprint) => api.space(run, fingerprint)),
    ]);
    const now = store.runs.peek()[run] ?? known;
    store.updateRun(run, {
      timeline: timeline.layers,
      tags: tags.tags,
      tiles: locateImages(images.pages),
      spaces: { ...now.spaces, ...Object.fromEntries(spaces.map((answer) => [answer.attrs.fingerprint, spaceFromContainer(answer)])) },
    });
    fetched[run] = revision;
    await loadScalars(run);
  });

  /** @param {string} run */
  const loadScalars = async (run) => {
    const { tags } = store.runs.peek()[run] ?? emptyRunData();
    const groups = groupTags(tags);
    const keys = store.scalarChoice.peek() ?? defaultGroups(groups);
    const members = groups.filter(({ key }) => keys.includes(key)).flatMap((group) => group.members);
    const answers = await Promise.all(members.map(({ tag }) => api.scalar(run, tag)));
    const now = store.runs.peek()[run] ?? emptyRunData();
    store.updateRun(run, { scalars: { ...now.scalars, ...Object.fromEntries(members.map(({ tag }, i) => [tag, answers[i].points])) } });
  };

  /**
   * Fetch a layer, or only its new steps. A run started again may log the same steps anew: the clock tells.
   * @param {string} run @param {string} name @param {import('./api.js').LayerIndex} listed
   */
  const loadLayer = (run, name, { steps, wall_times: times }) => once(`layer ${run} ${name}`, async () => {
    const have = store.runs.peek()[run]?.layers[name];
    const known = loadedTimes[`${run}\n${name}`] ?? [];
    if (have && same(have.steps, steps) && same(known, times)) return;
    const count = have?.steps.length ?? 0;
    const grows = have && steps.length > count && same(have.steps, steps.slice(0, count)) && same(known, times.slice(0, count));
    const later = grows ? layerFromContainer(await api.layer(run, name, have.steps[have.steps.length - 1])) : null;
    const layer = (have && later && appendLayer(have, later)) || layerFromContainer(await api.layer(run, name));
    loadedTimes[`${run}\n${name}`] = times;
    const layers = store.runs.peek()[run]?.layers ?? {};
    store.keepingStep(() => store.updateRun(run, { layers: { ...layers, [name]: layer } }));
  });

  effect(() => {
    const answer = store.index.value;
    const name = store.layerName.value;
    for (const run of [store.primary.value, store.compared.value]) {
      const listed = answer?.runs[run];
      if (!answer || !listed) continue;
      untracked(() => {
        if (fetched[run] !== answer.revision) loadRun(run, answer.revision);
        if (listed.layers[name]) loadLayer(run, name, listed.layers[name]);
      });
    }
  });
  effect(() => {
    void store.scalarChoice.value;
    const shown = [store.primary.value, store.compared.value].filter(Boolean);
    untracked(() => shown.forEach((run) => once(`scalars ${run}`, () => loadScalars(run))));
  });

  const poll = async () => {
    if (!isHidden()) await refresh();
    setTimeout(poll, store.problem.peek() ? POLL_BROKEN_MS : POLL_MS);
  };
  poll();
  return { refresh };
}

/** @param {Store} store @param {Record<string, string>} wanted */
function chooseFirst(store, wanted) {
  const names = store.runNames.peek();
  const withData = names.filter((name) => Object.keys(store.index.peek()?.runs[name].layers ?? {}).length);
  const run = names.includes(wanted.run) ? wanted.run : (withData[0] ?? names[0]);
  const layers = Object.keys(store.index.peek()?.runs[run].layers ?? {});
  batch(() => {
    store.primary.value = run;
    store.layerName.value = layers.includes(wanted.layer) ? wanted.layer : (layers[layers.length - 1] ?? '');
    if (names.includes(wanted.compare) && wanted.compare !== run) store.compared.value = wanted.compare;
  });
}

/** @param {number[]} a @param {number[]} b */
const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

/** @param {unknown} error */
function describe(error) {
  if (error instanceof TypeError) return 'TensorBoard does not answer. Trying again…';
  return error instanceof Error ? error.message : String(error);
}
