// @ts-check
/** The ranking of the panel of evolutions as a file. */
import { saveText } from '../../export/save.js';
import { MOST, evolutionRows } from '../../model/evolutions.js';
import { counted } from '../../model/format.js';
import { fileName, toCsv, toJson } from '../../model/table.js';

/** @param {import('./share.js').Sharing} sharing @param {'csv' | 'json'} format @param {import('./task.js').Work} work @returns {Promise<import('./task.js').Outcome>} */
export async function saveEvolutions({ store, api }, format, { signal }) {
  const wanted = store.evolution.peek();
  if (!wanted) throw new Error('nothing is ranked: choose a class and two steps in the panel Evolutions');
  const ranking = await api.evolutions(wanted, MOST, signal);
  const rows = evolutionRows(wanted.run, ranking);
  const name = fileName(['evolutions', wanted.run, `step${wanted.from}-to-${wanted.to}`, wanted.class, wanted.layer ?? '', wanted.order === 'least' ? 'least' : ''], format);
  const about = { about: 'Concept Monitor: which evolutions matter to a class', ...wanted, ranked: ranking.total, unranked: ranking.unranked };
  saveText(format === 'csv' ? toCsv(rows) : toJson(rows, about, 'evolutions'), format === 'csv' ? 'text/csv' : 'application/json', name);
  return { text: `Saved ${counted(rows.length, 'evolution')} to ${name}` };
}
