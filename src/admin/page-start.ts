/**
 * Where a page of a listing begins: behind the last entry of the page before, be that still there or not.
 *
 * A place is the moment of an entry's acceptance and its queue id. Where the entry is gone, the page begins with those accepted at the same moment: one of
 * them may come twice, none is left out.
 *
 * @packageDocumentation
 */
import type { SpoolEntry } from '../core/spool-entry.ts';

type Placed = Pick<SpoolEntry, 'acceptedAt' | 'queueId'>;

/** For {@link PageStart}. */
export const placeOf = ({ acceptedAt, queueId }: Placed): string => `${acceptedAt}.${queueId}`;

/** Is shown entries in order of acceptance, and lets through those that belong to the page. */
export class PageStart<Entry extends Placed = SpoolEntry> {
  readonly #acceptedAt: number;
  readonly #queueId: string;
  #isBehind: boolean;
  /** As old as the place, and seen before it, if it comes at all. */
  #alike: Entry[] = [];

  /** @param place - Undefined: from the beginning. */
  constructor(place: string | undefined) {
    const [acceptedAt = '', queueId = ''] = (place ?? '').split('.');
    this.#isBehind = place === undefined;
    this.#acceptedAt = Number(acceptedAt);
    this.#queueId = queueId;
  }

  /** The next entry. @returns What is to be listed now. */
  pass(entry: Entry): readonly Entry[] {
    if (this.#isBehind) return [entry];
    if (entry.queueId === this.#queueId) {
      this.#isBehind = true;
      this.#alike = [];
    } else if (entry.acceptedAt > this.#acceptedAt) {
      return [...this.end(), entry];
    } else if (entry.acceptedAt === this.#acceptedAt) this.#alike.push(entry);
    return [];
  }

  /** No entry comes any more, or none that is as old as the place. @returns What is still to be listed. */
  end(): readonly Entry[] {
    this.#isBehind = true;
    return this.#alike.splice(0);
  }
}
