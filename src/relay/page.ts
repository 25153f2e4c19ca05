/** Part of a list. Behind `next` there is more; undefined at the end. */
export type Page<Item, Key> = { readonly items: readonly Item[]; readonly next: Key | undefined };

/** The longest page that is made in one turn of the event loop. */
export const mostItems = 1000;
