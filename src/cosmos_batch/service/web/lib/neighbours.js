// The order of the runs in the latest list, for the links from a run's page to the runs beside it.

/** @type {string[]} */
let order = [];

/**
 * Keep the ids of a list, in order.
 * @param {string[]} ids
 */
export function rememberOrder(ids) {
  order = ids;
}

/**
 * The ids before and after `id` in the list; null where there is none.
 * @param {string} id
 * @returns {[string | null, string | null]}
 */
export function neighbours(id) {
  const at = order.indexOf(id);
  return at < 0 ? [null, null] : [order[at - 1] ?? null, order[at + 1] ?? null];
}
