/**
 * From the records of the log, in order, to the entries that they leave.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { decodeDamage, decodeMessage, decodeState, type StoredMessage, type StoredState } from './entry-codec.ts';
import type { Frame } from './record.ts';
import { type Row, type RowPlace, rowOf, showState } from './row.ts';
import type { Gap, SoundRecord } from './segment-scan.ts';

/** A gap, and the segment it is in. */
export interface PlacedGap extends Gap {
  readonly segment: number;
  /** Where not the octets are bad but what they say. */
  readonly reason?: string;
}

/** A damaged record, the entry it belonged to, if that is still there, and what is to be done. */
export interface Damage {
  readonly gap: PlacedGap;
  /** Taken out of the rows. */
  readonly row?: Row;
}

export class Replay {
  readonly rows = new Map<number, Row>();
  /** The highest serial seen. */
  lastSerial = 0;
  readonly #touched = new Map<number, number>();
  readonly #known = new Set<number>();

  /**
   * Take a record.
   *
   * @returns A gap where what it says makes no sense.
   */
  apply(segment: number, record: SoundRecord): PlacedGap | undefined {
    const { offset, frame } = record;
    this.lastSerial = Math.max(this.lastSerial, frame.serial);
    try {
      this.#apply(segment, record);
      this.#touched.set(frame.serial, orderOf(segment, offset));
      return undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { segment, offset, octets: 0, kind: 'damage', frame, reason };
    }
  }

  /** Take out the entries that damaged records belong to. Gaps dealt with at an earlier start are passed over. */
  resolve(gaps: readonly PlacedGap[]): Damage[] {
    return gaps.flatMap((gap) => {
      const order = orderOf(gap.segment, gap.offset);
      if (mayConcernAnybody(gap)) this.#doubt(order);
      if (this.#known.has(order)) return [];
      const row = gap.frame === undefined ? undefined : this.rows.get(gap.frame.serial);
      if (row === undefined) return [{ gap }];
      if (orderOf(row.place.segment, row.place.offset) > order) return []; // Written again since, with all that was known.
      this.rows.delete(row.serial);
      return [{ gap, row }];
    });
  }

  #apply(segment: number, { offset, frame, envelope }: SoundRecord): void {
    const row = this.rows.get(frame.serial);
    switch (frame.kind) {
      case 'opening':
        return;
      case 'message':
      case 'report':
        return this.#message(frame, envelope, placeOf(segment, offset, frame));
      case 'state':
        if (row !== undefined) showState(row, decodeState(envelope));
        return;
      case 'transmitting':
        if (row !== undefined) row.isTransmitting = true;
        return;
      case 'removed':
        this.rows.delete(frame.serial);
        return;
      case 'damage':
        return this.#damage(frame.serial, envelope);
    }
  }

  #message({ serial }: Frame, envelope: string, place: RowPlace): void {
    const message: StoredMessage = decodeMessage(envelope);
    this.rows.set(serial, rowOf(serial, message, place));
    const { settles } = message;
    if (settles !== undefined) this.#settle(settles.serial, settles.state);
  }

  #settle(serial: number, state: StoredState | undefined): void {
    const row = this.rows.get(serial);
    if (state === undefined) this.rows.delete(serial);
    else if (row !== undefined) showState(row, state);
  }

  #damage(serial: number, envelope: string): void {
    const { segment, offset } = decodeDamage(envelope);
    if (segment !== undefined && offset !== undefined) this.#known.add(orderOf(segment, offset));
    if (serial !== 0) this.rows.delete(serial);
  }

  /** A record is lost, and with it perhaps the news that one of these was delivered. */
  #doubt(order: number): void {
    for (const row of this.rows.values()) if ((this.#touched.get(row.serial) ?? 0) < order) row.isAmbiguous = true;
  }
}

/** Debris never counted. What has a frame concerns the entry named there, unless it settled another one. */
function mayConcernAnybody({ kind, frame }: PlacedGap): boolean {
  return kind === 'damage' && (frame === undefined || frame.kind === 'report');
}

function placeOf(segment: number, offset: number, { envelopeOctets, contentOctets }: Frame): RowPlace {
  return { segment, offset, envelopeOctets, contentOctets };
}

/** Places in the order of the log. */
function orderOf(segment: number, offset: number): number {
  return segment * 2 ** 32 + offset;
}
