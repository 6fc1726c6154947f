// @ts-check
/** Lines of the charts: what was logged of the shown runs and layers, on the shared axis. */
import { placeOfStep, tagOfAxis } from '../model/axis.js';
import { entropyAt } from '../model/metrics.js';
import { alignPoints } from '../model/scalars.js';
import { smooth } from '../model/smooth.js';
import { indexOfStep } from '../model/steps.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('./frame.js').Point} Point */
/**
 * @typedef {object} Series
 * @property {Source} source whose cursor reads it
 * @property {Point[]} points
 * @property {Point[]} [raw] before smoothing
 * @property {string} name beside its end, '' where its colour and dash say enough
 * @property {string} spoken name for those who cannot see it
 * @property {string} className of the source: `from-0` ...
 * @property {string} [swatch] classes of the mark beside its name
 */

/** How the line of a source looks; `other` marks all but the first. @param {number} place among the shown sources */
export const sourceClass = (place) => `from-${place}${place ? ' other' : ''}`;

/** A source in words. @param {Store} store @param {Source} source */
export function nameOfSource(store, { run, name }) {
  const all = store.sources.value;
  const runs = new Set(all.map((source) => source.run)).size;
  const layers = new Set(all.map((source) => source.name)).size;
  if (runs > 1 && layers > 1) return `${run} ${name}`;
  return runs > 1 ? run : name;
}

/** Whether a source has a place on the axis: not where a scalar is the axis that its run never logged. @param {Store} store @param {Source} source */
export const isPlaced = (store, source) => {
  const tag = tagOfAxis(store.axis.value);
  return !tag || (source.data.value.scalars[tag] ?? []).length > 0 || source === store.first.value;
};

/** Points whose x is a step, on the axis. @param {Source} source @param {{x: number, y: number}[]} points @returns {Point[]} */
export function onAxis(source, points) {
  const places = source.places.value;
  const steps = source.steps.value;
  return points.map(({ x, y }) => ({ x: placeOfStep(places, steps, x), y, at: indexOfStep(steps, x) }));
}

/** One logged number of a layer over its steps; a step without it is a gap. @param {Source} source @param {'d_anchor' | 'd_anchor_gated' | 'mean_pairwise_distance' | 'mean_displacement' | 'entropy'} field */
export const metricPoints = (source, field) => onAxis(source, source.metrics.value.map((entry) => ({ x: entry.step, y: entry[field] ?? NaN })));

/** Concept entropy of each step whose neurons are here. @param {Source} source */
export function entropyPoints(source) {
  const layer = source.layer.value;
  return layer ? onAxis(source, layer.steps.map((step, epoch) => ({ x: step, y: entropyAt(layer, epoch) }))) : [];
}

/**
 * One line for each shown source.
 * @param {Store} store @param {(source: Source) => Point[]} pointsOf @param {(source: Source, place: number) => string} [nameOf] beside the line's end
 * @returns {Series[]} the first source last, so that it lies on top
 */
export const sourceSeries = (store, pointsOf, nameOf = () => '') => store.sources.value.flatMap((source, place) => (isPlaced(store, source) ? [{
  source, points: pointsOf(source), name: nameOf(source, place), spoken: nameOfSource(store, source), className: sourceClass(place), swatch: store.others.value.length ? sourceClass(place) : undefined,
}] : [])).reverse();

/**
 * The lines of a group of scalars: each member of the first run, and of the others what is not measured in
 * training. Two layers of one run have the same scalars, so each run has its lines once.
 * @param {Store} store @param {import('../model/scalars.js').TagGroup} group @returns {{series: Series[], byTime: boolean}}
 */
export function scalarSeries(store, group) {
  let byTime = false;
  const weight = store.smoothing.value;
  const sources = store.sources.value;
  const all = group.members.flatMap(({ tag, split }) => {
    const secondary = group.members.length > 1 && split === 'train';
    return sources.flatMap((source, place) => {
      if (sources.findIndex(({ run }) => run === source.run) !== place || (place > 0 && secondary) || !isPlaced(store, source)) return [];
      const aligned = alignPoints(source.data.value.scalars[tag] ?? [], source.steps.value, source.wallTimes.value);
      byTime ||= aligned.byTime;
      const logged = onAxis(source, aligned.points);
      const smoothed = weight > 0 ? smooth(logged.map(({ y }) => y), weight) : null;
      const member = split || (group.members.length > 1 ? tag : '');
      return [{
        source, raw: smoothed ? logged : undefined, points: smoothed ? logged.map((point, i) => ({ ...point, y: smoothed[i] })) : logged,
        // One member alone is named by the chart's title.
        name: place ? '' : member, spoken: [sources.length > 1 ? source.run : '', member].filter(Boolean).join(' '),
        className: secondary ? 'soft' : sourceClass(place), swatch: secondary ? 'soft' : group.members.length > 1 || sources.length > 1 ? sourceClass(place) : undefined, order: place ? 0 : secondary ? 1 : 2,
      }];
    });
  });
  return { series: all.sort((a, b) => a.order - b.order), byTime };
}
