// @ts-check
/** The plugin's HTTP routes (docs/http_api.md) as functions that return decoded answers. */
import { decodeContainer } from './container.js';
import { byName } from './model/text.js';

/** @typedef {import('./container.js').Container} Container */
/** @typedef {{neurons: number, steps: number[], wall_times: number[]}} LayerIndex */
/** @typedef {{layer?: string, step?: number | null, reason: string, code?: string}} Skipped */
/** @typedef {{kept: number, logged: number}} Sampled */
/** @typedef {{layers: Record<string, LayerIndex>, spaces: string[], note: string, skipped: Skipped[], sampled?: Record<string, Sampled>, newest_wall_time?: number}} RunIndex */
/** @typedef {{runs: Record<string, RunIndex>, revision: string, unchanged?: boolean}} RunsAnswer */
/**
 * @typedef {object} Metrics What one layer was at one step; numbers are null where the log had NaN.
 * @property {number} step
 * @property {number} wall_time
 * @property {string} [space] fingerprint
 * @property {number} neurons
 * @property {number} interpretable
 * @property {Record<string, number>} category_counts
 * @property {number | null} threshold
 * @property {number | null} threshold_level
 * @property {number | null} d_anchor
 * @property {number | null} d_anchor_gated
 * @property {number | null} mean_pairwise_distance
 * @property {number | null} [entropy] differential, of the neurons' places; not in older logs, nor of small layers
 * @property {number | null} mean_displacement
 * @property {number} dead
 * @property {number} constant
 * @property {number} nonfinite
 * @property {string} detector
 * @property {number} temperature
 * @property {number[]} [tracked]
 * @property {{nearest_distance: (number | null)[], nearest_neuron: number[]}} [anchors]
 */
/** @typedef {{layers: Record<string, Metrics[]>}} TimelineAnswer */
/** @typedef {{series: Record<string, [number, number | null][]>, change: number | null, needed: number | null, noise: number | null}} Evidence */
/** @typedef {{rule: string, layer: string, step: number, severity: 'warning' | 'critical', message: string, evidence: Evidence, ended: number | null}} Alert ended: the step at which it was over, null while it holds */
/** @typedef {{checked: number[], alerts: Alert[]}} AlertsAnswer checked: steps that the rules looked at */
/** @typedef {[number, number, number | null]} ScalarPoint step, wall time in seconds, value */
/** @typedef {{step: number, columns: number, ids: number[]}} ImagePage */
/** @typedef {{tile: number, pages: ImagePage[], skipped?: {step: number, reason: string}[]}} ImagesAnswer */
/** @typedef {{status: number, word?: string, kind?: string, position?: [number, number], error?: string, reason?: string, code?: string, suggestions?: string[], retryAfter: number}} AnchorAnswer status 200: placed; 202: ask again; 404: cannot be placed; 429: too many at once */
/** @typedef {ReturnType<typeof createApi>} Api */

/** An answer other than 200, with the server's own words. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

/** @param {string} base address of the routes, ending in a slash */
export function createApi(base) {
  /** @param {string} route @param {Record<string, string | number | undefined>} [params] */
  const address = (route, params = {}) => {
    const url = new URL(route, base);
    for (const [name, value] of Object.entries(params)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url.href;
  };

  /** @param {string} url @param {AbortSignal} [signal] */
  const get = async (url, signal) => {
    const response = await fetch(url, { cache: 'no-store', signal });
    if (response.ok) return response;
    let message = `TensorBoard answered ${response.status}`;
    try {
      message = (await response.json()).error || message;
    } catch {
      // Not our JSON: the status says all there is.
    }
    throw new ApiError(response.status, message);
  };

  /** @template T @param {string} url @param {AbortSignal} [signal] @returns {Promise<T>} */
  const json = async (url, signal) => (await get(url, signal)).json();
  /** @param {string} url */
  const container = async (url) => decodeContainer(await (await get(url)).arrayBuffer());

  return {
    /** @param {string} [revision] the one that is known @returns {Promise<RunsAnswer>} */
    runs: async (revision) => {
      const answer = /** @type {RunsAnswer} */ (await json(address('runs', { revision })));
      return answer.unchanged ? answer : { ...answer, runs: byName(Object.fromEntries(Object.entries(answer.runs).map(([run, index]) => [run, { ...index, layers: byName(index.layers), sampled: byName(index.sampled) }]))) };
    },
    /** Names of all runs that TensorBoard knows, with or without concepts: its own route. @returns {Promise<string[]>} */
    allRuns: () => json(new URL('../../runs', base).href),
    /** @param {string} run @param {string} [fingerprint] */
    space: (run, fingerprint) => container(address('space', { run, fingerprint })),
    /** @param {string} run @returns {Promise<TimelineAnswer>} */
    timeline: async (run) => {
      const { layers } = /** @type {TimelineAnswer} */ (await json(address('timeline', { run })));
      for (const entry of Object.values(layers).flat()) entry.category_counts = byName(entry.category_counts);
      return { layers: byName(layers) };
    },
    /** What the alert rules raised while the run was trained. @param {string} run @returns {Promise<AlertsAnswer>} */
    alerts: (run) => json(address('alerts', { run })),
    /** @param {string} run @param {string} layer @param {{from: number, to: number, part: 'frames' | 'details'}} what steps, ends included */
    layer: (run, layer, what) => container(address('layer', { run, layer, ...what })),
    /** @param {string} run @returns {Promise<{tags: string[]}>} */
    scalarTags: (run) => json(address('scalars', { run })),
    /** @param {string} run @param {string} tag @returns {Promise<{points: ScalarPoint[]}>} */
    scalar: (run, tag) => json(address('scalars', { run, tag })),
    /** @param {string} run @returns {Promise<ImagesAnswer>} */
    images: (run) => json(address('images', { run })),
    /** Address of one JPEG atlas page. @param {string} run @param {number} step */
    imagePage: (run, step) => address('images', { run, step }),
    /**
     * What a neuron's card shows. `film`: steps whose concepts and images are told too.
     * @param {string} run @param {string} layer @param {number} neuron @param {number} step
     * @param {{k?: number, across?: boolean, film?: number[], signal?: AbortSignal}} [more]
     * @returns {Promise<import('./model/neurons.js').NeuronAnswer>}
     */
    neuron: (run, layer, neuron, step, { k, across, film = [], signal } = {}) => {
      const url = new URL(address('neuron', { run, layer, neuron, step, k, across: across ? 1 : undefined }));
      for (const one of film) url.searchParams.append('film', String(one));
      return json(url.href, signal);
    },
    /** Distance of every concept of the step's space to its nearest neuron. @param {string} run @param {string} layer @param {number} step @returns {Promise<import('./panels/concepts/distances.js').StepDistances>} */
    stepDistances: (run, layer, step) => json(address('distances', { run, layer, step })),
    /**
     * The same of some words at all steps.
     * @param {string} run @param {string} layer @param {string[]} words at most 64
     * @returns {Promise<{steps: number[], words: import('./panels/concepts/distances.js').StepDistances[]}>} words in the order asked for
     */
    wordDistances: (run, layer, words) => {
      const url = new URL(address('distances', { run, layer }));
      words.forEach((word) => url.searchParams.append('word', word));
      return json(url.href);
    },
    /**
     * Where a word lies on the map.
     * @param {string} run @param {string} word
     * @returns {Promise<AnchorAnswer>}
     */
    anchor: async (run, word) => {
      const response = await fetch(address('anchor', { run, word, missing: 200 }), { cache: 'no-store' });
      const answer = await response.json().catch(() => ({ error: `TensorBoard answered ${response.status}` }));
      return { ...answer, status: answer.status === 'unplaced' ? 404 : response.status, retryAfter: Number(response.headers.get('Retry-After')) || 0 };
    },
    /** Pairs of steps with a table of important evolutions. @param {string} run @param {AbortSignal} [signal] @returns {Promise<import('./model/evolutions.js').PairsAnswer>} */
    evolutionPairs: (run, signal) => json(address('evolutions', { run }), signal),
    /** Classes and layers of one table. @param {string} run @param {number} from @param {number} to @param {AbortSignal} [signal] @returns {Promise<import('./model/evolutions.js').TableAnswer>} */
    evolutionTable: (run, from, to, signal) => json(address('evolutions', { run, from, to }), signal),
    /** @param {import('./model/evolutions.js').Ranking} wanted @param {number} k how many @param {AbortSignal} [signal] @returns {Promise<import('./model/evolutions.js').RankingAnswer>} */
    evolutions: ({ run, from, to, class: name, layer, order }, k, signal) => json(address('evolutions', { run, from, to, class: name, layer: layer ?? undefined, order, k }), signal),
    /** Address of a table of labels. @param {string} run @param {string} layer @param {number} step */
    exportTable: (run, layer, step) => address('export', { run, layer, step, format: 'csv' }),
  };
}
