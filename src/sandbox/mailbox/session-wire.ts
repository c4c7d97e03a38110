/**
 * The server's end of a mailbox session: lines in, octets out, and the faults that strike between them.
 *
 * @packageDocumentation
 */
import type { TLSSocket } from 'node:tls';
import { milliseconds } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type FaultSwitches, type MailboxFault, type MailboxStage, takeMailboxFault } from '../faults.ts';
import { LineSource } from './line-source.ts';
import type { MailboxProtocol } from './mailbox-sign-in.ts';

/** A token in AUTHENTICATE takes 4/3 of its length, and real ones have been seen beyond 4 kB. */
const LONGEST_LINE = 65_536;

export class SessionWire {
  readonly source: LineSource;
  readonly peer: string;
  readonly #socket: TLSSocket;
  readonly #protocol: MailboxProtocol;
  readonly #faults: FaultSwitches;
  readonly #clock: Clock;

  constructor(socket: TLSSocket, protocol: MailboxProtocol, faults: FaultSwitches, clock: Clock) {
    this.#socket = socket;
    this.#protocol = protocol;
    this.#faults = faults;
    this.#clock = clock;
    this.peer = socket.remoteAddress ?? '';
    this.source = new LineSource(socket, LONGEST_LINE);
  }

  get isOpen(): boolean {
    return this.#socket.writable;
  }

  /** One line; Latin-1. */
  line(text: string): Promise<void> {
    return this.octets(Buffer.from(`${text}\r\n`, 'latin1'));
  }

  /** Waits while the peer does not read. */
  async octets(octets: Buffer): Promise<void> {
    if (!this.isOpen || this.#socket.write(octets)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#socket.off('drain', done).off('close', done);
        resolve();
      };
      this.#socket.on('drain', done).on('close', done);
    });
  }

  /** A last line, then the end. */
  end(text: string): void {
    if (this.isOpen) this.#socket.end(text === '' ? '' : `${text}\r\n`, 'latin1');
  }

  cut(): void {
    this.#socket.destroy();
  }

  /**
   * The fault that strikes here, if any. Those that need no words of the protocol are already done: after `drop` and `stall` the wire is closed,
   * after `delay` all goes on.
   */
  async fault(stage: MailboxStage, command = ''): Promise<MailboxFault | undefined> {
    const fault = takeMailboxFault(this.#faults, stage, this.#protocol, command);
    if (fault?.kind === 'drop') this.cut();
    if (fault?.kind === 'stall') await this.#untilClosed();
    if (fault?.kind !== 'delay') return fault;
    await new Promise<void>((resolve) => {
      this.#clock.startTimer(milliseconds(fault.milliseconds), resolve, { isBackground: true });
    });
    return undefined;
  }

  #untilClosed(): Promise<void> {
    this.#socket.pause();
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve());
    });
  }
}
