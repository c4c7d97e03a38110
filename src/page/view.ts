/**
 * What a page is: asked to draw itself, again whenever something has happened, until another takes its place.
 *
 * @packageDocumentation
 */
import { keepingFocus } from './dom.ts';
import type { Server } from './server.ts';

/** What a page draws with. */
export interface Stage {
  readonly server: Server;
  /** Where it draws. */
  readonly place: HTMLElement;
  /** Behind the name of the page in the address: `Q…` of `#/queue/Q…`. */
  readonly rest: string;
  /** Behind `?`; what the page was asked to filter by. */
  readonly query: URLSearchParams;
  /** Change what stands behind `?`, and draw again. */
  readonly filter: (query: Readonly<Record<string, string>>) => void;
}

/** @throws Refusal */
export type View = (stage: Stage) => Promise<() => Promise<void>>;

/** A page that is drawn as a whole each time. `draw` asks for what it shows, and says how it is shown. */
export function drawn(draw: (stage: Stage) => Promise<void>): View {
  return async (stage) => {
    await draw(stage);
    return () => keepingFocus(stage.place, () => draw(stage));
  };
}
