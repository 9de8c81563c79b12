import { once } from 'node:events';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { StreamRecord } from './record.ts';
import { ConnectionLost } from './sink.ts';
import type { Connection, Sink } from './sink.ts';
import { syslogFrame } from './syslog.ts';

export interface SyslogOptions {
  readonly host: string;
  /** 6514 is the registered one (RFC 5425 section 4.1). */
  readonly port: number;
  /** Certificates, PEM, in whose place the system's are trusted; and what this side shows, where the collector asks. */
  readonly tls?: Pick<ConnectionOptions, 'ca' | 'cert' | 'key'>;
  readonly enterprise: number;
  /** How long a connection has to stay up until what was written to it counts as taken; `usualSettleMs` where it is not said. */
  readonly settleMs?: number;
  readonly clock: Clock;
}

/**
 * Longer than TCP takes to notice that the other side is gone without a word, such as without power or behind a firewall that drops.
 * Linux gives up at the first retransmission past 924.6 s (net.ipv4.tcp_retries2 = 15), and those are up to 120 s apart, as is the first
 * one from what it repeats. Node sets no TCP_USER_TIMEOUT, which would shorten that, and keep-alive probes are not sent while bytes
 * are under way.
 */
export const usualSettleMs = 1_200_000;

const connectMs = 15_000;
/** A collector that takes nothing for so long is given up. */
const stalledMs = 60_000;

/** What was written: so many records in all, at that time. Small, since one is kept for each write of the settling time. */
interface Written {
  readonly count: number;
  readonly at: number;
}

/**
 * A collector that speaks syslog over TLS 1.2 or newer (RFC 5424, RFC 5425). It acknowledges nothing, so a record counts as taken when the
 * connection has outlived it for the settling time. That the other side ends in good order says nothing: it may not have read what was sent.
 */
export function syslogSink(options: SyslogOptions): Sink {
  return { connect: (signal) => SyslogConnection.open(options, signal) };
}

class SyslogConnection implements Connection {
  readonly #socket: TLSSocket;
  readonly #options: SyslogOptions;
  readonly #written: Written[] = [];
  #count = 0;
  #taken = 0;
  #lost: ConnectionLost | undefined;

  private constructor(socket: TLSSocket, options: SyslogOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('error', (error) => (this.#lost ??= lost(error)));
    socket.on('close', () => (this.#lost ??= new ConnectionLost('The collector has closed the connection.')));
    socket.on('end', () => (this.#lost ??= new ConnectionLost('The collector has ended the connection.')));
    socket.setTimeout(0);
    // Nothing is expected; what comes is not kept.
    socket.resume();
  }

  static async open(options: SyslogOptions, signal: AbortSignal): Promise<SyslogConnection> {
    const { host, port, tls } = options;
    // An address is no server name (RFC 6066 section 3); the certificate is held to the host either way.
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const socket = connect({ host, port, ...servername, minVersion: 'TLSv1.2', ...tls });
    socket.setTimeout(connectMs, () => socket.destroy(new Error('The collector does not answer.')));
    try {
      await once(socket, 'secureConnect', { signal });
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      throw lost(error);
    }
    return new SyslogConnection(socket, options);
  }

  async send(records: readonly StreamRecord[]): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    const frames = Buffer.concat(records.map((record) => syslogFrame(record, this.#options.enterprise)));
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => this.#socket.destroy(new Error('The collector takes nothing.')),
        stalledMs,
      );
      this.#socket.write(frames, (error) => {
        clearTimeout(timer);
        if (error === null || error === undefined) resolve();
        else reject((this.#lost ??= lost(error)));
      });
    });
    this.#count += records.length;
    this.#written.push({ count: this.#count, at: this.#options.clock.steadyMs() });
  }

  taken(): number {
    // What was lost is noticed late: nothing that is young counts.
    const { clock, settleMs = usualSettleMs } = this.#options;
    const settled = clock.steadyMs() - settleMs;
    while (this.#lost === undefined && this.#written[0] !== undefined && this.#written[0].at <= settled) {
      this.#taken = this.#written.shift()?.count ?? this.#taken;
    }
    return this.#taken;
  }

  async close(): Promise<void> {
    // The last look: behind it the connection is over, and nothing settles any more.
    this.taken();
    if (this.#lost === undefined) {
      const closed = once(this.#socket, 'close').catch(() => undefined);
      const timer = setTimeout(() => this.#socket.destroy(), connectMs);
      this.#socket.end();
      await closed;
      clearTimeout(timer);
    }
    this.#socket.destroy();
  }
}

function lost(error: unknown): ConnectionLost {
  return error instanceof ConnectionLost
    ? error
    : new ConnectionLost(error instanceof Error ? error.message : String(error), { cause: error });
}
