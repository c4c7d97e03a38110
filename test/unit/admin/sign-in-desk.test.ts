/** Links by which owners of mailboxes sign in: once, in time, for one account, and as nobody else. */
import { beforeEach, describe, expect, it } from 'vitest';
import { SignInDesk } from '../../../src/admin/sign-in-desk.ts';
import { hours, milliseconds, minutes } from '../../../src/core/clock.ts';
import type { SignInView, SignInWay } from '../../../src/core/ports/setup.ts';
import { ProblemError, problem } from '../../../src/core/problem.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const PEER = '192.0.2.7';

/** Notes what is asked for. */
class ScriptedSetup {
  readonly calls: unknown[][] = [];
  readonly views = new Map<string, SignInView>();
  ways: readonly SignInWay[] = ['browser', 'paste', 'device'];
  failure: ProblemError | undefined;
  ended: (view: SignInView) => void = () => undefined;

  offer(account: string) {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return Promise.resolve({ user: `${account}@x.test`, ways: this.ways });
  }

  startSignIn(account: string, way: SignInWay, ended: (view: SignInView) => void = () => undefined): Promise<SignInView> {
    const view: SignInView = { id: `id-${this.views.size}`, account, way, state: 'waiting', url: 'https://login.test/' };
    this.calls.push(['start', account, way]);
    this.views.set(view.id, view);
    this.ended = ended;
    return Promise.resolve(view);
  }

  endSignIn(id: string): Promise<void> {
    this.calls.push(['end', id]);
    return Promise.resolve();
  }

  signIn(id: string): SignInView | undefined {
    return this.views.get(id);
  }

  paste(id: string, address: string): SignInView | undefined {
    this.calls.push(['paste', id, address]);
    return this.views.get(id);
  }
}

let clock: FakeClock;
let setup: ScriptedSetup;
let log: MemoryLog;
let scrubber: Scrubber;
let desk: SignInDesk;

beforeEach(() => {
  clock = new FakeClock();
  setup = new ScriptedSetup();
  log = new MemoryLog();
  scrubber = new Scrubber();
  desk = new SignInDesk({ setup, clock, log, redactor: scrubber });
});

const opened = async (account = 'billing') => desk.open((await desk.make(account)).secret, PEER);
const refused = (cause: RegExp) => ({ problem: { code: 'SIGN_IN_LINK_INVALID', cause: expect.stringMatching(cause) } });

describe('a link', () => {
  it('has 256 random bits, of which the log knows nothing, nor anything else that is kept', async () => {
    const { secret } = await desk.make('billing');
    const { token } = await desk.open(secret, PEER);
    for (const one of [secret, token]) {
      expect(Buffer.from(one, 'base64url')).toHaveLength(32);
      expect(JSON.stringify(log.lines)).not.toContain(one);
      expect(scrubber.scrub(`/sign-in#${one}`)).not.toContain(one);
    }
    expect((await desk.make('billing')).secret).not.toBe(secret);
  });

  it('is opened once, and says when it was to whoever comes later', async () => {
    const { secret } = await desk.make('billing');
    expect(desk.state('billing')).toMatchObject({ state: 'unopened', expiresAt: '2026-11-24T00:00:00.000Z' });
    expect(await desk.open(secret, PEER)).toMatchObject({ user: 'billing@x.test', ways: ['device', 'paste'] });
    expect(desk.state('billing')).toMatchObject({ state: 'opened', openedBy: PEER });
    await expect(desk.open(secret, PEER)).rejects.toMatchObject(refused(/used already, at 2026-11-23T00:00/));
    expect(log.lines.map(({ event }) => event)).toEqual(['sign-in-link-made', 'sign-in-link-opened', 'sign-in-link-refused']);
  });

  it('lets one of two in who come at the same moment', async () => {
    const { secret } = await desk.make('billing');
    const both = await Promise.allSettled([desk.open(secret, PEER), desk.open(secret, PEER)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  it('is good for a day and not longer, whatever the wall clock does', async () => {
    const { secret } = await desk.make('billing');
    await clock.advance(milliseconds(hours(24) - 1));
    clock.jump(hours(-48));
    expect(desk.state('billing')?.state).toBe('unopened');
    await clock.advance(milliseconds(1));
    expect(desk.state('billing')?.state).toBe('over');
    await expect(desk.open(secret, PEER)).rejects.toMatchObject(refused(/good until/));
    expect(setup.calls).toEqual([]);
  });

  it('ends with the next one for the account, and leaves those of others alone', async () => {
    const first = await desk.make('billing');
    const other = await desk.make('orders');
    const second = await desk.make('billing');
    await expect(desk.open(first.secret, PEER)).rejects.toMatchObject(refused(/withdrawn, or another one/));
    expect(await desk.open(second.secret, PEER)).toMatchObject({ user: 'billing@x.test' });
    expect(await desk.open(other.secret, PEER)).toMatchObject({ user: 'orders@x.test' });
  });

  it.each(['', 'x', 'A'.repeat(43), '\u0000', '../../etc/passwd'])('that nobody made is refused: %j', async (secret) => {
    await desk.make('billing');
    await expect(desk.open(secret, PEER)).rejects.toMatchObject(refused(/no such link/));
    expect(desk.state('billing')?.state).toBe('unopened');
  });

  it('is not used up where nothing can be offered', async () => {
    const { secret } = await desk.make('billing');
    setup.failure = new ProblemError(problem('API_REQUEST_INVALID', 'the configuration cannot be used'));
    await expect(desk.open(secret, PEER)).rejects.toBe(setup.failure);
    setup.failure = undefined;
    expect(await desk.open(secret, PEER)).toMatchObject({ user: 'billing@x.test' });
  });

  it('is not made where nobody can sign in from elsewhere', async () => {
    setup.ways = ['browser'];
    await expect(desk.make('billing')).rejects.toMatchObject({ problem: { code: 'SIGN_IN_UNAVAILABLE' } });
    expect(desk.state('billing')).toBeUndefined();
  });

  it('keeps a bounded number of others', async () => {
    const { secret } = await desk.make('first');
    for (let n = 0; n < 100; n += 1) await desk.make(`account-${n}`);
    await expect(desk.open(secret, PEER)).rejects.toMatchObject(refused(/no such link/));
    expect(desk.state('account-0')).toMatchObject({ state: 'unopened' });
  });
});

describe('a guest', () => {
  it('begins, brings an address, and sees only that', async () => {
    const { token } = await opened();
    expect(desk.look(token)).not.toHaveProperty('signIn');
    const begun = await desk.start(token, 'paste');
    expect(begun.signIn).toEqual({ way: 'paste', state: 'waiting', url: 'https://login.test/' });
    desk.paste(token, 'http://localhost/?code=1');
    expect(setup.calls).toEqual([
      ['start', 'billing', 'paste'],
      ['paste', 'id-0', 'http://localhost/?code=1'],
    ]);
  });

  it('of another link reaches nothing of this one', async () => {
    const [first, second] = [await opened('billing'), await opened('orders')];
    await desk.start(first.token, 'paste');
    desk.paste(second.token, 'http://localhost/?code=EVIL');
    expect(setup.calls).toEqual([['start', 'billing', 'paste']]);
    expect(desk.look(second.token)).not.toHaveProperty('signIn');
  });

  it.each(['', 'A'.repeat(43)])('without the token is nobody: %j', async (token) => {
    const { secret } = await desk.make('billing');
    for (const one of [token, secret]) {
      expect(() => desk.look(one)).toThrow(/nobody has opened/);
      expect(() => desk.paste(one, 'x')).toThrow(/nobody has opened/);
      await expect(desk.start(one, 'device')).rejects.toMatchObject(refused(/nobody has opened/));
    }
    expect(setup.calls).toEqual([]);
  });

  it('may try again, some times', async () => {
    const { token } = await opened();
    for (let n = 0; n < 10; n += 1) await desk.start(token, 'device');
    await expect(desk.start(token, 'device')).rejects.toMatchObject(refused(/10 times/));
    expect(setup.calls).toHaveLength(10);
  });

  it('begins nothing after half an hour, nor once somebody has signed in', async () => {
    const late = await opened();
    await clock.advance(minutes(30));
    await expect(desk.start(late.token, 'device')).rejects.toMatchObject(refused(/time .* over/));
    expect(desk.look(late.token)).toMatchObject({ user: 'billing@x.test' });
    await clock.advance(minutes(30));
    expect(() => desk.look(late.token)).toThrow(/over/);
    expect(desk.state('billing')?.state).toBe('over');

    const { token } = await opened();
    const { signIn } = await desk.start(token, 'device');
    setup.ended({ ...signIn!, id: 'id-0', account: 'billing', state: 'failed' });
    expect(desk.state('billing')?.state).toBe('opened');
    await desk.start(token, 'device');
    setup.ended({ ...signIn!, id: 'id-1', account: 'billing', state: 'done', user: 'billing@x.test' });
    expect(desk.state('billing')?.state).toBe('done');
    await expect(desk.start(token, 'device')).rejects.toMatchObject(refused(/is done/));
    expect(log.of('sign-in-link-done')).toMatchObject([{ account: 'billing', user: 'billing@x.test' }]);
  });

  it('is out once the link is withdrawn, with what was begun', async () => {
    const { token } = await opened();
    await desk.start(token, 'device');
    expect(await desk.withdraw('billing')).toBe(true);
    expect(setup.calls).toContainEqual(['end', 'id-0']);
    expect(() => desk.look(token)).toThrow(/withdrawn/);
    await expect(desk.start(token, 'device')).rejects.toMatchObject(refused(/withdrawn/));
    expect(await desk.withdraw('billing')).toBe(false);
    expect(desk.state('billing')).toBeUndefined();
  });

  it('who begins while it is withdrawn has begun nothing', async () => {
    const { token } = await opened();
    const starting = desk.start(token, 'device');
    const withdrawn = desk.withdraw('billing');
    await expect(starting).rejects.toMatchObject(refused(/withdrawn/));
    await withdrawn;
    expect(setup.calls).toEqual([
      ['start', 'billing', 'device'],
      ['end', 'id-0'],
    ]);
  });

  it('is not let in by a link that is withdrawn while it opens', async () => {
    const { secret } = await desk.make('billing');
    const opening = desk.open(secret, PEER);
    await desk.withdraw('billing');
    await expect(opening).rejects.toMatchObject(refused(/withdrawn/));
  });

  it('chooses among the ways that there are', async () => {
    setup.ways = ['browser', 'paste'];
    const { token, ways } = await opened();
    expect(ways).toEqual(['paste']);
    await expect(desk.start(token, 'device')).rejects.toMatchObject({ problem: { code: 'SIGN_IN_UNAVAILABLE' } });
    expect(setup.calls).toEqual([]);
  });
});
