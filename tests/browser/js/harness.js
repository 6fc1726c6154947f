// @ts-check
/** As small as a test runner can be: tests are collected on import and run in order. */

/** @type {{name: string, body: () => void | Promise<void>}[]} */
const tests = [];

/** @param {string} name a sentence about behaviour @param {() => void | Promise<void>} body */
export const test = (name, body) => { tests.push({ name, body }); };

/** Compares by JSON, with NaN and typed arrays told apart from null and objects. @param {unknown} actual @param {unknown} expected */
export function equal(actual, expected) {
  const text = (/** @type {unknown} */ value) => JSON.stringify(value, (_, item) => {
    if (typeof item === 'number' && !Number.isFinite(item)) return String(item);
    if (ArrayBuffer.isView(item)) return Array.from(/** @type {any} */ (item));
    if (item instanceof Map || item instanceof Set) return [...item];
    return item;
  });
  if (text(actual) !== text(expected)) throw new Error(`got ${text(actual)}, expected ${text(expected)}`);
}

/** @param {number} actual @param {number} expected @param {number} [within] */
export function near(actual, expected, within = 1e-6) {
  if (!(Math.abs(actual - expected) <= within)) throw new Error(`got ${actual}, expected about ${expected}`);
}

/** @param {unknown} condition @param {string} what */
export function ok(condition, what) { if (!condition) throw new Error(what); }

/** @param {() => unknown} body @param {RegExp} message */
export function throws(body, message) {
  try {
    body();
  } catch (error) {
    if (!message.test(String(error))) throw new Error(`threw ${error}, expected ${message}`);
    return;
  }
  throw new Error(`did not throw ${message}`);
}

/** @returns {Promise<{name: string, error: string}[]>} */
export async function run() {
  const results = [];
  for (const { name, body } of tests) {
    try {
      await body();
      results.push({ name, error: '' });
    } catch (error) {
      results.push({ name, error: String(error) });
    }
  }
  return results;
}

/**
 * A layer of two neurons and one concept each, by a table of concepts per step (-1: valid, no concept; null: not valid; -2: unknown to the space).
 * @param {(number | null)[][]} table (epochs, neurons) @param {{positions?: number[], steps?: number[], spaces?: string[]}} [options]
 */
export function makeLayer(table, { positions, steps = table.map((_, i) => i), spaces = table.map(() => 's') } = {}) {
  const neurons = table[0].length;
  const flat = table.flat();
  const places = positions ?? flat.flatMap((_, i) => [i, -i]);
  return {
    run: 'r', name: 'l', neurons, steps, wallTimes: steps.map((step) => 1000 + 60 * step), spaces, topK: 1, images: 1, loaded: table.length, cut: /** @type {number | null} */ (null),
    frames: table.map((row, epoch) => /** @type {any} */ ({
      position: Float32Array.from(places.slice(2 * epoch * neurons, 2 * (epoch + 1) * neurons)),
      concept: Int32Array.from(row.map((concept) => (concept === null ? -1 : Math.max(0, concept)))),
      similarity: Float32Array.from(row.map((concept) => (concept === null ? 0 : concept < 0 ? 0.1 : 0.5))),
      flags: Uint8Array.from(row.map((concept) => (concept === null ? 0 : concept === -2 ? 4 : concept < 0 ? 2 : 3))),
      displacement: Float32Array.from(row.map((_, neuron) => (epoch ? epoch * neurons + neuron : NaN))),
    })),
    details: table.map((row, epoch) => /** @type {any} */ ({
      concept: Int32Array.from(row.map((concept) => (concept === null ? -1 : Math.max(0, concept)))),
      similarity: Float32Array.from(row.map((concept) => (concept === null ? 0 : concept < 0 ? 0.1 : 0.5))),
      topImages: Int32Array.from(row.map((_, neuron) => epoch * neurons + neuron - 1)),
      topPatches: null,
    })),
  };
}

/** @param {string[]} words @param {string[]} categories */
export function makeSpaceAnswer(words, categories) {
  return {
    kind: 'space', version: 1, step: 0,
    attrs: { fingerprint: 's', words, categories, anchors: [], encoder: 'e', note: '', projection: 'p' },
    arrays: { position: { shape: [words.length, 2], values: new Float32Array(2 * words.length) } },
  };
}
