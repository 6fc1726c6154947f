// @ts-check
/** How shown runs and layers are called where several are shown. */

/** @typedef {import('../store.js').Store} Store */

/** What tells a source apart from the others shown: its run, its layer, or both. @param {Store} store @param {import('../source.js').Source} source */
export function nameOf(store, source) {
  const all = store.sources.value;
  const runs = new Set(all.map(({ run }) => run)).size;
  const layers = new Set(all.map(({ name }) => name)).size;
  if (runs > 1 && layers > 1) return `${source.run} · ${source.name}`;
  return layers > 1 ? source.name : source.run;
}
