// @ts-check
/**
 * What TensorBoard imports in the tab's iframe. It serves this one file beside the plugin's routes and
 * everything else under `static/`, so this file only leads there, with styles and modules on their way together.
 * Under the version that it was itself asked for with, the browser keeps them.
 */

const STYLES = ['style.css', 'styles/map.css', 'styles/charts.css', 'styles/neurons.css', 'styles/concepts.css', 'styles/evolutions.css', 'styles/compare.css', 'styles/share.css'];

/** Called by TensorBoard once the frame is ready. @returns {Promise<void>} */
export async function render() {
  const version = new URL(import.meta.url).searchParams.get('version');
  const files = new URL(version ? `./static/${version}/` : './static/', import.meta.url).href;
  const styled = STYLES.map((name) => addStylesheet(files + name));
  const main = await import(`${files}main.js`);
  await Promise.all(styled);
  await main.start(document.body, new URL('./', import.meta.url).href);
}

/** @param {string} href @returns {Promise<void>} */
function addStylesheet(href) {
  return new Promise((resolve) => {
    const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href });
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
}
