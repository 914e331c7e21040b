// The order in which runs were last listed, so that a run's page can lead to the ones beside it.

let order = [];

/** Keep the ids of a list, in order. */
export const remember = (ids) => void (order = ids);

/** The ids before and after `id` in the list, null where there is none. */
export function neighbours(id) {
  const at = order.indexOf(id);
  return at < 0 ? [null, null] : [order[at - 1] ?? null, order[at + 1] ?? null];
}
