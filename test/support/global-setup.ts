/** Builds dist/ once before the tests, so that end-to-end tests run what `npm start` runs. */
import { buildPostern } from '../../scripts/build.mjs';

export default async function setup(): Promise<void> {
  await buildPostern();
}
