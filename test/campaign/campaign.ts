/**
 * What a campaign is: a long run of something that must never go wrong, which prints its seed and its counts and can be run again from that seed.
 * `npm run campaign -- NAME` runs the long form, `npm test` a short one.
 *
 * @packageDocumentation
 */

/** How long and from where. */
export interface CampaignOptions {
  readonly count: number;
  readonly seed: number;
  /** For progress. */
  readonly print?: (line: string) => void;
}

/** What came of it. */
export interface CampaignOutcome {
  readonly counts: Readonly<Record<string, number>>;
  /** Promises that were broken; empty where all were kept. */
  readonly broken: readonly string[];
}

/** A campaign by its name. */
export interface Campaign {
  readonly summary: string;
  /** The count that issues and docs name. */
  readonly count: number;
  /** Undefined where it can be run here, else the reason why not. */
  readonly obstacle?: () => Promise<string | undefined>;
  readonly run: (options: CampaignOptions) => Promise<CampaignOutcome>;
}
